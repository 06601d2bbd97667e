"""Builds and runs of deformable convolution and attention that fail: what is found, and where the fix leads."""

from __future__ import annotations

import pytest
from doctor.reading import findings

COMPAT = "python -m dcnbuild.compat "
_DETR = "/home/ada/Deformable-DETR/models/ops"
_FRAME = f'Traceback (most recent call last):\n  File "{_DETR}/functions/ms_deform_attn_func.py", line 29, in forward\n'
_OTHER = 'Traceback (most recent call last):\n  File "/home/ada/points/net.py", line 29, in forward\n'


def fix(log: str) -> str:
    """The lines of the first fix."""
    return "\n".join(findings(log)[0].fix)


@pytest.mark.parametrize(
    "message",
    [
        "Not implemented on the CPU",
        "Not Implemented on cpu",
        "Not implement on cpu",
        "ms_deform_attn_forward is not implemented for CPU",
        "DCNv2: CPU version not implemented",
        "deform_conv does not support CPU",
    ],
)
def test_an_operator_without_cpu_code_was_given_a_tensor_of_the_cpu(message: str) -> None:
    log = f"{_FRAME}RuntimeError: {message}"
    found = findings(log)
    assert [finding.id for finding in found] == ["no-cpu-kernel"]
    assert "CPU tensor" in found[0].cause and "Error" not in found[0].cause
    assert "FORCE_CUDA" not in fix(log) and "to the GPU" in fix(log) and COMPAT in fix(log)


def test_a_build_without_cuda_is_built_again_and_stood_in_for_where_dcnbuild_can() -> None:
    for frames, served in ((_FRAME, True), (_OTHER, False)):
        log = f"{frames}RuntimeError: Not compiled with GPU support"
        assert findings(log)[0].id == "not-compiled-with-gpu"
        assert "FORCE_CUDA=1" in fix(log) and "rm -rf build" in fix(log)
        assert (COMPAT in fix(log)) == served


@pytest.mark.parametrize(
    ("before", "source", "directory"),
    [
        ("", f"{_DETR}/src/cuda/ms_deform_attn_cuda.cu", _DETR),
        ("", "/ops/src/cuda/ms_deform_attn_cuda.cu", "/ops"),
        ("", "/src/cuda/a.cu", "/src"),
        ("", "/a.cu", "."),
        ("", r"C:\dd\models\ops\src\cuda\a.cu", r"C:\dd\models\ops"),
        ("", r"C:\a.cu", "."),
        ("", "/home/ada/det/ops/dcn/src/a.cpp", "/home/ada/det/ops/dcn"),
        ("", "/home/ada/det/csrc/deform/a.cpp", "/home/ada/det"),
        (f"running build_ext\ng++ -I{_DETR}/src -I/usr/include -c", "src/vision.cpp", _DETR),
        ("g++ -I/home/ada/gd/net/csrc -c", "/home/ada/gd/net/csrc/MsDeform/a.cu", "/home/ada/gd/net"),
        (f'  File "{_DETR}/setup.py", line 60, in <module>', "src/vision.cpp", _DETR),
        ("python /home/ada/gd/setup.py build", "/home/ada/gd/net/csrc/a.cu", "/home/ada/gd"),
        ("python /home/ada/other/setup.py build", "/home/ada/gd/net/csrc/a.cu", "/home/ada/gd/net"),
        ("g++ -I/usr/src -I/home/ada/dcn/src", "src/vision.cpp", "/home/ada/dcn"),
        ("g++ -I/env/lib/python3.11/site-packages/x/src", "src/vision.cpp", "."),
        ('  File "/tmp/pip-req-build-abc12/setup.py", line 60', "src/vision.cpp", "."),
    ],
)  # fmt: skip
def test_the_directory_to_port_is_the_one_of_the_project(before: str, source: str, directory: str) -> None:
    log = f"{before}\n{source}:3:3: error: ‘AT_CHECK’ was not declared in this scope"
    assert f"dcnbuild port --in-place {directory}" in fix(log).splitlines()
    assert not any(line.endswith((" /", ":\\")) for line in fix(log).splitlines())


_PLACE = "/home/ada/GroundingDINO/groundingdino/models/GroundingDINO/ms_deform_attn.py:31: "


@pytest.mark.parametrize(
    "log",
    [
        f"{_PLACE}UserWarning: Failed to load custom C++ ops. Running on CPU mode Only!\n  warnings.warn(\n",
        "Failed to load custom C++ ops. Running on CPU mode Only!",
        "UserWarning: Could not load custom CUDA kernels",
        "Could not load the custom kernel for multi-scale deformable attention: No such file",
        f"{_FRAME}ModuleNotFoundError: \n\nPlease compile MultiScaleDeformableAttention CUDA op with:\n\t`sh make.sh`",
        f"{_FRAME}ImportError:\nPlease build the ms_deform_attn extension first",
        "ImportError: cannot import name '_C' from partially initialized module 'groundingdino' (most likely due to "
        "a circular import) (/home/ada/gd/groundingdino/__init__.py)",
    ],
)
def test_a_compiled_part_that_is_missing_is_named_so(log: str) -> None:
    assert [finding.id for finding in findings(log)] == ["extension-not-built"]
    assert "pip install --no-build-isolation" in fix(log) and COMPAT in fix(log)


def test_the_place_of_a_warning_names_the_project() -> None:
    log = f"{_PLACE}UserWarning: Failed to load custom C++ ops. Running on CPU mode Only!"
    assert "GroundingDINO" in findings(log)[0].cause and "CUDA_HOME" in fix(log)


def test_a_circular_import_of_something_else_stays_one() -> None:
    for name, module in (("Net", "nets"), ("_C", "torch")):
        log = f"ImportError: cannot import name '{name}' from partially initialized module '{module}' (most likely due to a circular import)"
        assert findings(log)[0].id == "circular-import"


@pytest.mark.parametrize(
    ("frame", "directory"),
    [
        ("/home/ada/Mask2Former/mask2former/modeling/pixel_decoder/ops/functions/f.py", "/home/ada/Mask2Former/mask2former/modeling/pixel_decoder/ops"),
        (f"{_DETR}/modules/ms_deform_attn.py", _DETR),
        ("/home/ada/net/train.py", "models/ops"),
        ("/env/lib/python3.11/site-packages/net/ops/functions/f.py", "models/ops"),
    ],
)  # fmt: skip
def test_the_directory_to_build_in_is_the_one_that_the_traceback_shows(frame: str, directory: str) -> None:
    log = f"Traceback (most recent call last):\n  File \"{frame}\", line 2, in <module>\nModuleNotFoundError: No module named 'MultiScaleDeformableAttention'"
    assert f"cd {directory}" in fix(log).splitlines()


@pytest.mark.parametrize(
    ("message", "forced"),
    [
        ("NotImplementedError: CUDA_HOME is None. Please set environment variable CUDA_HOME.", False),
        ("NotImplementedError: No CUDA runtime is found. Please set FORCE_CUDA=1 or run x", True),
        ("NotImplementedError: Cuda is not availabel", True),
    ],
)  # fmt: skip
def test_a_setup_that_finds_no_cuda_says_so_in_many_words(message: str, forced: bool) -> None:
    log = f'Traceback (most recent call last):\n  File "setup.py", line 40, in <module>\n{message}'
    assert [finding.id for finding in findings(log)] == ["cuda-home-unset"]
    assert ("FORCE_CUDA=1" in fix(log)) == forced


def test_what_torch_remarks_beside_a_build_is_no_failure() -> None:
    assert findings("No CUDA runtime is found, using CUDA_HOME='/usr/local/cuda'") == ()


def test_a_message_brings_no_second_full_stop() -> None:
    for said, shown in (("that was wrong.", "that was wrong."), ("wait ...", "wait ....")):
        log = f'Traceback (most recent call last):\n  File "a.py", line 4, in f\nValueError: {said}'
        mine = "The line is in the project's own code: a.py, line 4, in f."
        assert findings(log)[0].cause == f"Python stopped with ValueError: {shown} {mine}"


def test_a_message_may_begin_below_the_name_of_its_exception() -> None:
    log = 'Traceback (most recent call last):\n  File "a.py", line 4, in f\nValueError: \n\nthe reason'
    assert findings(log)[0].cause.startswith("Python stopped with ValueError: the reason. The line is ")


_SYMBOL = (
    "undefined symbol: _ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
)
_SITE = "/env/lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("library", "on_index"),
    [
        ("MultiScaleDeformableAttention-1.0-py3.11-linux-x86_64.egg/MultiScaleDeformableAttention.cpython-311-x86_64-linux-gnu.so", False),
        ("MultiScaleDeformableAttention.cpython-311-x86_64-linux-gnu.so", False),
        ("DCNv3-1.0-py3.11-linux-x86_64.egg/DCNv3.cpython-311-x86_64-linux-gnu.so", False),
        ("groundingdino/_C.cpython-311-x86_64-linux-gnu.so", False),
        ("diff_gaussian_rasterization/_C.cpython-311-x86_64-linux-gnu.so", False),
        ("natten/libnatten.cpython-311-x86_64-linux-gnu.so", True),
        ("mine/_C.cpython-311-x86_64-linux-gnu.so", True),
    ],
)  # fmt: skip
def test_what_no_index_has_is_built_from_its_checkout(library: str, on_index: bool) -> None:
    log = f"ImportError: {_SITE}/{library}: {_SYMBOL}"
    assert findings(log)[0].id == "undefined-symbol"
    assert ("--force-reinstall" in fix(log)) == on_index
    if not on_index:
        lines = fix(log).splitlines()
        assert any(line.startswith("pip install --no-build-isolation") for line in lines)
        assert not any("wheel of" in line for line in lines)
        # a project with its setup.py at the top is fetched; what is a part of another one is built in its checkout
        assert any(line.endswith("git+https://github.com/IDEA-Research/GroundingDINO") for line in lines) == (
            "groundingdino" in library
        )
        assert ("rm -rf build" in lines) == ("groundingdino" not in library)


def test_a_module_without_its_functions_is_not_the_compiled_one() -> None:
    module = "MultiScaleDeformableAttention"
    log = f"{_FRAME}AttributeError: module '{module}' has no attribute 'ms_deform_attn_forward'"
    assert [finding.id for finding in findings(log)] == ["extension-not-built"]
    assert "source directory" in findings(log)[0].cause
    assert f"cd {_DETR}" in fix(log) and COMPAT in fix(log) and f"pip show {module}" not in fix(log)
    other = "AttributeError: module 'transformers' has no attribute 'BeamScorer'"
    assert findings(other)[0].id == "python-api-changed"


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("ms_deform_attn_forward_cuda", "attention"),
        ("modulated_deformable_im2col_cuda", "convolution"),
        ("addmm_impl_cpu_", ""),
        ("flash_attention_forward", ""),
    ],
)
def test_a_missing_dtype_speaks_of_the_operator_at_hand(name: str, operator: str) -> None:
    log = f"RuntimeError: \"{name}\" not implemented for 'Half'"
    assert findings(log)[0].id == "missing-dtype"
    for word in ("attention", "convolution"):
        assert (word in fix(log)) == (word == operator)
    assert (COMPAT in fix(log)) == bool(operator)


@pytest.mark.parametrize(
    "message",
    [
        "batch(3) must divide im2col_step(2)",
        "im2col step must divide batchsize",
        "batch 3 must be divisible by im2col_step 2",
    ],
)
def test_a_batch_that_the_step_does_not_divide(message: str) -> None:
    for name in ("RuntimeError", "AssertionError"):
        log = f"{_OTHER}{name}: {message}"
        assert [finding.id for finding in findings(log)] == ["batch-not-divisible"]
        assert "im2col_step=1" in fix(log) and COMPAT in fix(log)


def test_a_setup_that_asks_for_a_gpu_only_is_ported() -> None:
    log = f'Traceback (most recent call last):\n  File "{_DETR}/setup.py", line 49, in f\nNotImplementedError: Cuda is not availabel'
    assert f"# dcnbuild port --in-place {_DETR}" in fix(log).splitlines() and COMPAT in fix(log)


@pytest.mark.parametrize(
    "text",
    [
        "This kernel is not supported on CPU: falling back",
        "UserWarning: fused op not implemented on CPU",
        "please rebuild the container module",
        "Please build the wheel extension before the release",
    ],
)
def test_what_only_sounds_alike_is_no_failure(text: str) -> None:
    assert findings(text) == ()
