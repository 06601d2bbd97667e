"""What is found but left to a human, with the reason and what to do."""

from __future__ import annotations

from dcnbuild.port.rule import Leftover

_TYPES = "Byte|Char|Short|Int|Long|Half|Float|Double|BFloat16"

LEFTOVERS = (
    Leftover(
        id="th-tensor",
        names=rf"TH(?:Cuda|C|S)?(?:{_TYPES})?(?:Tensor|Storage)(?:_\w*)?",
        reason="TH and THC tensors went with torch 1.11, and what they resize, retain or free has no one-to-one form",
        advice="take at::Tensor instead: THCudaTensor_data(state, x) is x.data_ptr<float>(),"
        " _size(state, x, i) is x.size(i), _nDimension is x.dim(), _resize2d is x.resize_({a, b}),"
        " _fill is x.fill_(v)",
        example="void f(THCudaTensor** x) { THCudaTensor_unfold(state, x[0], x[1], 1, 2, 3); }\n",
        untouched=("void f(at::Tensor x) {}  // was THCudaTensor\n",),
    ),
    Leftover(
        id="th-blas",
        names=rf"TH(?:Cuda|{_TYPES})Blas_\w+",
        reason="this BLAS call of TH went with torch 1.8 and has no helper here",
        advice="write it as an at:: operation, or call cuBLAS with at::cuda::getCurrentCUDABlasHandle()",
        example="void f() { THCudaBlas_Sdot(state, n, x, 1, y, 1); }\n",
        untouched=("// THCudaBlas_Sdot\n",),
    ),
    Leftover(
        id="thc-other",
        names=r"THC(?:State|uda[A-Z]\w*|Assert\w*|Numerics|CachingAllocator\w*|Allocator\w*"
        r"|Generator\w*|Stream\w*|_\w+|[A-Z][a-z]\w*)|THNN_\w+|TH(?:Allocator|Generator|MemoryFile)\w*"
        r"|TH(?:Alloc|Free|Realloc|Min|Max|ArgCheck|Error\w*|Assert\w*|Rand\w*)",
        reason="this part of TH or THC went with torch 1.11 and no rule knows its successor here",
        advice="look for the operation in at::, at::cuda:: or c10::cuda:: and call that",
        example="int f() { return THCNumerics<float>::cinv(a); }\n",
        untouched=("int THREADS = 1, THRESHOLD = 2;\n", "struct THCNumerics { };\n// THCNumerics<float>\n"),
    ),
    Leftover(
        id="thc-template",
        names="toDeviceTensor(?:Cast)?|reduceBlockWithNThreadLocalReductions",
        reason="this template of THC's headers went with torch 1.11",
        advice="take x.packed_accessor32<T, N>() for a device tensor, and cub::BlockReduce for a reduction",
        example="void f(at::Tensor x) { auto y = toDeviceTensor<float, 2>(x); }\n",
        untouched=("template <typename T> T toDeviceTensor(T x) { return x; }\n", "// toDeviceTensor\n"),
    ),
    Leftover(
        id="texture-template",
        names="texture|surface",
        following="<",
        where=r"cudaReadMode\w+|cudaTextureType\w+|cudaAddressMode\w+|tex1Dfetch|tex[123]D|surf[123]D\w+",
        reason="texture and surface references went with CUDA 12",
        advice="read through a const __restrict__ pointer, or make a texture object (cudaCreateTextureObject)",
        example="texture<float, 2, cudaReadModeElementType> tex;\n",
        untouched=("bool f(int texture) { return texture < 3; }\n", "// texture<float, 2> tex;\n"),
    ),
    Leftover(
        id="tensor-member",
        names="is_variable|s_copy_|tensorFromBlob|tensorWithAllocator|sizeof_type|elementSizeInBytes"
        "|scalarTensor|elementSize",
        members=True,
        following="(",
        where="at|torch|c10",
        reason="tensors, their types and options have this member no longer",
        advice="copy_ for s_copy_, at::from_blob for tensorFromBlob, x.element_size() for sizeof_type and elementSize,"
        " nothing for is_variable",
        example="void f(at::Tensor x) { x.s_copy_(x); }\n",
        untouched=("void f(Mine x) { x.s_copy_(x); }\n", "// at::Tensor x; x.s_copy_(x)\n"),
    ),
    Leftover(
        id="type-object",
        names="getType|getNonVariableType",
        behind=("at::", "torch::"),
        following="(",
        reason="torch has no types as objects any more",
        advice="pass at::TensorOptions: at::device(at::kCUDA).dtype(at::kFloat)",
        example="auto& f() { return torch::getType(at::Backend::CUDA, at::kFloat); }\n",
        untouched=("auto& f() { return mine::getType(1); }\n", "// torch::getType(b, s)\n"),
    ),
    Leftover(
        id="autograd-node",
        names="Function",
        behind=("autograd::",),
        following="{",
        reason="functions of C++ with an apply() of their own are nodes since torch 1.5",
        advice="derive from torch::autograd::Node, or from torch::autograd::Function<F> with static methods",
        example="struct F : public torch::autograd::Function { };\n",
        untouched=(
            "struct F : torch::autograd::Function<F> { };\n",
            "struct F : torch::autograd::Node { };\n",
        ),
    ),
    Leftover(
        id="cpu-cuda-type",
        names=r"CUDA|CPU",
        following="(",
        reason="at::CUDA(kFloat) and at::CPU(kFloat) are deprecated, and what they are handed to decides what to write",
        advice="pass at::TensorOptions: at::device(at::kCUDA).dtype(at::kFloat)",
        need="deprecated",
        example="void f() { at::zeros({1}, at::CUDA(at::kFloat)); }\n",
        untouched=("void f() { use(at::kCUDA); }\n",),
    ),
)
