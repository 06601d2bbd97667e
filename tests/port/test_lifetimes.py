"""Tests that removed names without a rule are reported, and existing names are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from port.support import port_cpp

from dcnbuild import knowledge
from dcnbuild.knowledge import gone
from dcnbuild.port.project import Options, port_project

CSRC = Path(__file__).parents[2] / "csrc"


@pytest.mark.parametrize(
    ("line", "subject"),
    [
        ("auto y = at::potri(x);", "at::potri"),
        ("auto y = at::linear(x, x) + at::btrifact_with_info(x);", "at::btrifact_with_info"),
        ("AT_FORALL_SCALAR_TYPES_EXCEPT_HALF(f)", "AT_FORALL_SCALAR_TYPES_EXCEPT_HALF"),
        ("cudaGetTextureAlignmentOffset(&n, t);", "cudaGetTextureAlignmentOffset"),
        ("cub::FpLimits<float>::Max();", "cub::FpLimits"),
        ("thrust::binary_function<int, int, int> f;", "thrust::binary_function"),
        ("auto y = x.type().full({3}, 1);", "at::DeprecatedTypeProperties::full"),
        ("float* p = x.storage().data<float>();", "storage().data"),
        ("auto n = x.storage().size();", "storage().size"),
        (
            "const auto& t = x.type(); auto y = t.eye(3);",
            "at::DeprecatedTypeProperties::eye",
        ),
        ("auto y = at::CUDA(at::kInt).eye(3);", "at::DeprecatedTypeProperties::eye"),
        ("cusparseScsrmm2(h, op, op, m, n, k);", "cusparseScsrmm2"),  # before the tables begin
    ],
)
def test_what_is_gone_is_named(line: str, subject: str) -> None:
    remarks = port_cpp(f"void f(at::Tensor x) {{ {line} }}\n").remarks
    assert subject in {remark.subject for remark in remarks if remark.need == "broken"}


def test_a_header_that_is_gone_is_named() -> None:
    text = "#include <torch/csrc/utils/functional.h>\n#include <ATen/Parallel.h>\n#include <c10d/frontend.hpp>\n"
    remarks = port_cpp(text).remarks
    found = [(remark.id, remark.subject, remark.lines) for remark in remarks]
    gone = {1: "torch/csrc/utils/functional.h", 3: "c10d/frontend.hpp"}
    assert found == [("gone-name", f"#include <{header}>", (line,)) for line, header in gone.items()]


@pytest.mark.parametrize(
    "line",
    [
        "auto y = at::zeros({1}); auto z = at::cuda::getCurrentCUDAStream();",
        "cudaMemcpyToArray(a, 0, 0, p, n, k); cub::Equality equal;",
        "Value v; v.type().name(); x.type().backend(); auto o = x.type().options(0);",
        "at::PackedTensorAccessor<float, 2> a; torch::PackedTensorAccessor<float, 2> b;",
        "auto n = x.storage().nbytes(); auto p = x.storage().data(); const auto& t = x.type(); t.isCuda();",
        "cusparseSpMM(h); cusparseSgemvi(h); cusparseXcoo2csr(h, r, n, m, o, b); cusparseDcheck(h);",
        "struct M { void potrf(); }; M().potrf(); mine::at::eig(x);",
        "AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), n, [&] { g(); });",
        "thrust::device_ptr<int> p; cub::BlockReduce<int, 1> r; torch::autograd::make_variable(x);",
    ],
)
def test_what_stands_is_not(line: str) -> None:
    remarks = port_cpp(f"void f(at::Tensor x) {{ {line} }}\n").remarks
    assert not [remark for remark in remarks if remark.id == "gone-name"]


@pytest.mark.parametrize(
    ("header", "named"),
    [
        (
            "ATen/cuda/CUDATypeDefault.h",
            True,
        ),  # went before the tables begin: torch's folders are known as a whole
        ("torch/csrc/never_was.h", True),
        ("ATen/native/cuda/KernelUtils.cuh", False),
        ("ATen/ops/relu_native.h", False),
        ("ATen/hip/HIPContext.h", False),
        ("torch/csrc/api/include/torch/types.h", False),
        ("caffe2/core/timer.h", False),
    ],
)
def test_torchs_headers_are_known_as_a_whole(header: str, named: bool) -> None:
    remarks = port_cpp(f"#include <ATen/ATen.h>\n#include <{header}>\n").remarks
    assert [remark.subject for remark in remarks] == [f"#include <{header}>"] * named


@pytest.mark.parametrize(
    ("line", "subject"),
    [
        ("CUcontext c; cuCtxCreate(&c, 0, device);", "cuCtxCreate"),
        ("cudaMemAdvise(p, n, cudaMemAdviseSetReadMostly, 0);", "cudaMemAdvise"),
        ("cudaMemPrefetchAsync(p, n, device);", "cudaMemPrefetchAsync"),
        ("cudaMemPrefetchAsync(p, n, device, stream);", "cudaMemPrefetchAsync"),
        ("cudaMemLocation where; cudaMemPrefetchAsync(p, n, 1, stream);", "cudaMemPrefetchAsync"),
        ("c10::cuda::CUDACachingAllocator::recordStream(x.data_ptr(), s);", "recordStream"),
        ("void* p = g(); c10::cuda::CUDACachingAllocator::recordStream(p, s);", "recordStream"),
        ("c10::cuda::CUDACachingAllocator::recordStream(static_cast<void*>(q), s);", "recordStream"),
    ],
)
def test_a_call_that_todays_form_does_not_take_is_named(line: str, subject: str) -> None:
    remarks = port_cpp(f"void f(at::Tensor x, int device) {{ {line} }}\n").remarks
    assert [remark.subject.rpartition("::")[2] for remark in remarks if remark.need == "broken"] == [subject]


@pytest.mark.parametrize(
    "line",
    [
        "CUcontext c; cuCtxCreate(&c, nullptr, 0, device);",
        "cudaMemLocation where; cudaMemAdvise(p, n, cudaMemAdviseSetReadMostly, where);",
        "cudaMemPrefetchAsync(p, n, {cudaMemLocationTypeDevice, device}, 0);",
        "cudaMemPrefetchAsync(p, n, location(), 0, stream);",
        "c10::cuda::CUDACachingAllocator::recordStream(x.storage().data_ptr(), s);",
        "auto p = g(); c10::cuda::CUDACachingAllocator::recordStream(p, s);",
        "cudaGraphInstantiate(&e, g, nullptr, nullptr, 0); cudaStreamGetCaptureInfo(s, &status, &id);",
        "c10::cuda::SetDevice(1); at::slice(x, 2, 0, 3); at::sum(x); torch::load(x, path); thrust::transform(a, b, c, g);",
    ],
)
def test_a_call_that_todays_form_takes_is_not(line: str) -> None:
    assert not port_cpp(f"void f(at::Tensor x, int device) {{ {line} }}\n").remarks


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("at::cudnn_convolution(x, x, x, {1}, {1}, {1}, 1, true, false);", "cudnn_convolution(Tensor, Tensor, [int], "),
        ("at::native_layer_norm(x, x, x, n, 4, 1e-5);", "native_layer_norm(Tensor, [int], Tensor?, Tensor?, double)"),
        ("torch::linspace(0, 1, x.options());", "linspace(Scalar, Scalar, int, TensorOptions)"),
        ("x.toType(x.type()); at::norm(x, 2, x.type());", "norm(Tensor, Scalar?, ScalarType)"),
        ("at::add(1, x);", "add(Tensor, Scalar, Scalar)"),
        ("x.mm(x, x);", "mm(Tensor)"),
        ('torch::jit::class_<Mine>("Mine");', "class_(text, text, text)"),
    ],
)
def test_a_call_that_no_overload_of_today_takes_is_named_with_the_nearest(line: str, form: str) -> None:
    remarks = port_cpp(f"void f(at::Tensor x, int n) {{ {line} }}\n").remarks
    assert [remark.advice for remark in remarks] == [remarks[0].advice] and form in remarks[0].advice


@pytest.mark.parametrize(
    "line",
    [
        'at::empty({1}, x.type()); at::zeros({2}, "cuda"); at::ones(n, at::kCUDA); x.sum(0, true); x.sum(at::kFloat);',
        "auto shape = at::infer_size(x.sizes(), x.sizes()); at::empty(shape, x.options()); x.view(at::IntArrayRef(shape));",
        "auto sizes = x.sym_sizes(); sizes.size(); x.view(x.numel()); x.norm(2, 1); x.item<float>(); x.max(1); x.max();",
        "at::add(x, 1); x.copy_(x, true); f(at::zeros(args...)); x.index({x}); at::from_blob(p, {1}); torch::tensor({1});",
        'torch::class_<Mine>("mine", "Mine").def(torch::init<int>()); at::linspace(0, 1, SHAPE); at::where(x > 0, x, n);',
    ],
)
def test_a_call_that_some_overload_takes_is_not(line: str) -> None:
    text = f"at::Tensor sizes(int n) {{}}\nvoid f(at::Tensor x, int n) {{ {line} }}\n"
    assert not [remark for remark in port_cpp(text).remarks if remark.need == "broken"]


@pytest.mark.parametrize("made", ["at::TensorIterator i;", "auto i = at::TensorIterator();", "TensorIterator i;"])
def test_an_iterator_that_is_made_without_a_config_is_named(made: str) -> None:
    text = f"using namespace at;\nvoid f(at::Tensor x) {{ {made} i.add_output(x); i.build(); }}\n"
    found = [remark.subject.rpartition("::")[2] for remark in port_cpp(text).remarks]
    assert found == ["add_output", "build"]
    now = text.replace("TensorIterator", "TensorIteratorConfig")
    assert not port_cpp(now).remarks


@pytest.mark.parametrize("name", ["thrust::bind2nd", "at::softmax_backward_data", "cub::ThreadLoadBySize"])
def test_a_public_function_that_no_release_has_is_named(name: str) -> None:
    remarks = port_cpp(f"void f(at::Tensor x) {{ {name}(x, 3); {name}<int>(x); }}\n").remarks
    assert [remark.subject for remark in remarks] == [name]


def test_a_private_function_that_the_tables_leave_out_is_not() -> None:
    text = "void f(at::Tensor x) { at::relu_(x); at::_unique(x); at::native::gpu_kernel(x); at::mine(x); }\n"
    assert not port_cpp("namespace at { void mine(Tensor x) {} }\n" + text).remarks


@pytest.mark.parametrize("around", ["using namespace at; {}", "using namespace torch; {}", "namespace at {{ {} }}"])
def test_what_stands_alone_is_torchs_where_its_names_are_in_use(around: str) -> None:
    text = around.format("at::Tensor f(at::Tensor x) { return potrf(x) + mine(x) + log(x); }")
    assert [remark.subject for remark in port_cpp(text + "\n").remarks] == ["at::potrf"]


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("at::Tensor f(at::Tensor x) { return potrf(x); }\n", {}),
        ("using namespace at::native;\nat::Tensor f(at::Tensor x) { return potrf(x); }\n", {}),
        ("using namespace at;\nTensor f(Tensor x) { return x.potrf(); }\n", {}),
        ("using namespace at;\nTensor potrf(const Tensor& x);\nTensor f(Tensor x) { return potrf(x); }\n", {}),
        ("using namespace at;\nTensor f(Tensor x) { auto potrf = [](Tensor y) { return y; }; return potrf(x); }\n", {}),
        (
            "using namespace at;\nTensor potrf(Tensor x);\nTensor f(Tensor x) { return potrf(x); }\n",
            {"a__cpp": "int potrf(int x) {}"},
        ),
    ],
)
def test_elsewhere_it_may_be_anybodys(text: str, others: dict[str, str]) -> None:
    assert not [remark for remark in port_cpp(text, **others).remarks if remark.subject == "at::potrf"]


def test_a_function_of_cuda_is_known_where_names_of_torch_stand_alone() -> None:
    text = "using namespace at;\nvoid f(size_t n) { cudaGetTextureAlignmentOffset(&n, t); }\n"
    assert [remark.subject for remark in port_cpp(text).remarks] == ["cudaGetTextureAlignmentOffset"]


@pytest.mark.parametrize("space", ["at", "c10", "torch"])
def test_what_the_tables_have_lost_sight_of_stands_under_each_name(space: str) -> None:
    text = f"bool f(at::ScalarType t) {{ return {space}::isSignedType(t) || {space}::isBarebonesUnsignedType(t); }}\n"
    assert not port_cpp(text).remarks


def test_a_name_of_the_project_is_its_own() -> None:
    text = "#define AT_WARN_ONCE_MINE(x)\nvoid cudaGetTextureAlignmentOffset(int n) {}\n"
    assert not port_cpp(text + "void g() { cudaGetTextureAlignmentOffset(1); }\n").remarks


def test_our_own_sources_are_of_today() -> None:
    result = port_project(CSRC, Options())
    assert not result.failing and result.changed == ()
    assert not [r for file in result.files for r in file.remarks if r.need == "broken"]


@pytest.mark.parametrize(
    "text",
    [
        "#if CUDART_VERSION >= 13000\nvoid f() { cudaMemPrefetchAsync(p, n, where, 0, s); }\n#else\n"
        "void f() { cudaMemPrefetchAsync(p, n, device, s); }\n#endif\n",
        "#if (defined(CUDA_VERSION) && CUDA_VERSION >= 13000)\nvoid f();\n#else\n"
        "void f() { cudaStreamGetCaptureInfo_v2(s, &a, &b, &c, 0, 0); }\n#endif\n",
        "#if CUDA_VERSION < 13000\nvoid f() { cudaUnbindTexture(x); cub::FpLimits<float>::Max(); cub::Sum s; }\n#endif\n",
        "#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 3\nint now;\n#else\n"
        "void f(at::Tensor x) { auto y = at::eig(x); AT_CHECK(y); }\n#endif\n",
        "#if THRUST_VERSION < 200000\n#include <thrust/detail/config/old.h>\nthrust::unary_function<int, int> f;\n#endif\n",
    ],
)
def test_what_stands_for_an_older_release_beside_that_for_a_newer_one_stays(text: str) -> None:
    assert port_cpp(text).text == text and not port_cpp(text).remarks
    assert port_cpp(text.split("\n", 1)[1].replace("#else", "").replace("#endif", "")).remarks


def test_a_branch_without_cuda_is_of_today() -> None:
    assert port_cpp("#ifdef CUDA_VERSION\nint gpu;\n#else\nvoid f(at::Tensor x) { at::eig(x); }\n#endif\n").remarks


@pytest.mark.parametrize(
    ("line", "subject"),
    [
        # at::Context is known as a whole: what it has not today is gone, whenever it went
        ("auto p = at::globalContext().getTHCState();", "at::Context::getTHCState"),
        ("at::globalContext().setCurrentCUDAStream(s);", "at::Context::setCurrentCUDAStream"),
        # members of what is known to be a tensor
        ("auto y = x.gesv(b);", "at::Tensor::gesv"),
        ("at::Tensor y = at::relu(x); auto z = y.view({2, 2}).symeig(true);", "at::Tensor::symeig"),
        ("for (auto& v : values) v.toIntListRef();", "c10::IValue::toIntListRef"),
        # namespaces within namespaces, types, and what at:: has of c10::
        ("auto n = c10::cuda::CUDACachingAllocator::maxMemoryAllocated(0);", "maxMemoryAllocated"),
        ("c10::TensorTypeId id;", "c10::TensorTypeId"),
        ("auto p = c10::guts::if_constexpr<true>(g);", "c10::guts::if_constexpr"),
        ("auto t = at::CTypeToScalarType<float>::to();", "at::CTypeToScalarType"),
        ("auto m = cg::this_multi_grid();", "cooperative_groups::this_multi_grid"),
        # structs of CUDA
        ("cudaDeviceProp p; int n = p.clockRate;", "cudaDeviceProp::clockRate"),
        (
            "cudaPointerAttributes a; bool b = a.memoryType == cudaMemoryTypeDevice;",
            "cudaPointerAttributes::memoryType",
        ),
        ("auto n = at::check_generator<at::CUDAGenerator>(g);", "at::CUDAGenerator"),
        ("cudaBindTexture(0, tex, p, n);", "cudaBindTexture"),
        ("half h; h.x = 0x3c00;", "__half::x"),
        ("at::globalContext().defaultGenerator(at::kCPU).manualSeed(1);", "at::Generator::manualSeed"),
        # what went before the tables begin
        ("auto s = at::cuda::uncheckedSetCurrentCUDAStream();", "at::cuda::uncheckedSetCurrentCUDAStream"),
        ("return ::at::cuda::uncheckedSetCurrentCUDAStream();", "at::cuda::uncheckedSetCurrentCUDAStream"),
        ("auto y = at::_th_addmm(x, x, x, 1, 1);", "at::_th_addmm"),
        ("cudaConfigureCall(grid, block);", "cudaConfigureCall"),
        ("cufftSetCompatibilityMode(plan, mode);", "cufftSetCompatibilityMode"),
        ("int mode = CUFFT_COMPATIBILITY_NATIVE;", "CUFFT_COMPATIBILITY_NATIVE"),
        ("auto g = std::shared_ptr<F>(new F(), torch::autograd::deleteNode);", "torch::autograd::deleteNode"),
        (
            "cudnnGetConvolutionForwardAlgorithm(h, a, w, c, b, p, 0, &algorithm);",
            "cudnnGetConvolutionForwardAlgorithm",
        ),
        ("cudnnRNNForwardTraining(h);", "cudnnRNNForwardTraining"),
        ("auto k = c10::TensorTypeId::CUDATensorId;", "c10::TensorTypeId::CUDATensorId"),
    ],
)
def test_what_is_gone_is_named_by_what_it_belongs_to(line: str, subject: str) -> None:
    remarks = port_cpp(f"void f(at::Tensor x, at::Tensor b) {{ {line} }}\n").remarks
    found = {remark.subject for remark in remarks if remark.id == "gone-name"}
    assert {name for name in found if name.endswith(subject)}, found


@pytest.mark.parametrize(
    "line",
    [
        "auto y = matrix.qr(); auto z = solver.solve(b); double e = lu.eig();",  # Eigen has them
        "at::globalContext().lazyInitCUDA(); at::globalContext().setBenchmarkCuDNN(true);",
        "at::isIntegralType(x.scalar_type(), false); c10::DispatchKeySet k; at::Backend n = at::Backend::CPU;",
        "auto k = c10::DispatchKey::CUDA; auto q = c10::QScheme::PER_TENSOR_AFFINE; g({at::Tag::pt2_compliant_tag});",
        "c10::cuda::CUDAGuard g(0); at::cuda::CUDAGuard h(0); at::cuda::current_device();",
        "x.toBackend(at::Backend::CUDA); x.type().toBackend(at::Backend::CUDA);",
        "Timer t; t.clockRate = 3; auto k = a.memoryType; half2 h; h.x = h.y; rng.manualSeed(3);",
        "cudnnGetConvolutionForwardAlgorithm_v7(h); cudnnRNNForward(h); auto w = at::Scalar(2).toFloat();",
        "at::Tensor y = x; y.ger(x); y.ormqr(x, x); auto m = v.toTensorList();",
    ],
)
def test_what_only_looks_like_it_is_not(line: str) -> None:
    remarks = port_cpp(f"void f(at::Tensor x) {{ {line} }}\n").remarks
    assert not [remark for remark in remarks if remark.need == "broken"]


def test_a_name_is_gone_before_the_tables_or_in_them_but_not_in_both() -> None:
    for row in gone.rows():
        table = {"torch": knowledge.torch_cpp, "CUDA": knowledge.cuda, "cuDNN": knowledge.cuda}.get(row.product)
        for name in row.names if table and row.since != gone.NEVER else ():
            assert table is not None and not [entry for entry in table.find(name) if entry.name == name], name


def test_a_copy_of_cub_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    copy = "#pragma once\nnamespace cub { struct Max {}; int round(int n) { return CUB_MAX(n, 1); } }\n"
    own = '#include <ATen/ATen.h>\n#include "../third_party/cub/cub.cuh"\n'
    files = {"src/a.cu": own, "third_party/cub/cub.cuh": copy, "src/b.cu": '#include "cub/cub.cuh"\n'}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    result = port_project(tmp_path)
    assert result.changed == ()
    left = {str(file.path): [(r.id, r.lines) for r in file.remarks] for file in result.files if file.remarks}
    assert left == {"src/a.cu": [("cub-copy", (2,))]}
    assert not result.ok


def test_a_header_that_only_nvcc_finds_is_named_in_what_the_compiler_reads(tmp_path: Path) -> None:
    files = {
        "a.cpp": '#include <torch/extension.h>\n#include "both.h"\n',
        "both.h": "#pragma once\n#include <thrust/device_vector.h>\n",
        "b.cpp": "#ifdef __CUDACC__\n#include <cub/cub.cuh>\n#endif\n",
        "c.cpp": "#include <ATen/ATen.h>\n#include <thrust/host_vector.h>\n",
        "d.cu": '#include <thrust/host_vector.h>\n#include "both.h"\n',
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    left = {str(file.path): [(r.id, r.lines) for r in file.remarks] for file in port_project(tmp_path).files}
    assert {path: found for path, found in left.items() if found} == {
        "a.cpp": [("cccl-folder", (1,))],
        "c.cpp": [("cccl-folder", (2,))],
    }
