"""Fixes for the place that a log comes from: its shell, its torch's CUDA, its environment, the checkout of its project."""

from __future__ import annotations

import pytest
from doctor.reading import fix

from dcnbuild.doctor.logs.context import SHOWN, Context
from dcnbuild.doctor.parse.text import Log
from dcnbuild.machine import versions

_NO_TOOLKIT = "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root."


@pytest.mark.parametrize(
    ("shown", "cuda"),
    [
        ("torch.__version__  = 2.3.1+cu121", "12.1"),
        (">>> torch.__version__\n'2.5.1+cu124'", "12.4"),
        ("Name: torch\nVersion: 2.4.0+cu118", "11.8"),
        ("Using /home/ada/.cache/torch_extensions/py39_cu117 as PyTorch extensions root...", "11.7"),
        ("pytorch                   1.13.1          py3.8_cuda11.7_cudnn8.5.0_0    pytorch", "11.7"),
        ("torch cuda version ............... 12.1", "12.1"),
        ("CUDA used to build PyTorch: 12.6", "12.6"),
    ],
)
def test_the_toolkit_is_that_of_the_torch_in_the_log(shown: str, cuda: str) -> None:
    lines = "\n".join(fix(f"{shown}\n{_NO_TOOLKIT}"))
    assert f"cuda-{cuda}" in lines and "torch.version.cuda" not in lines


@pytest.mark.parametrize("other", ["flash_attn-2.6.3+cu123torch2.4cxx11abiFALSE-cp310-cp310-linux_x86_64.whl", ""])
def test_without_a_torch_in_the_log_torch_is_asked(other: str) -> None:
    lines = "\n".join(fix(f"{other}\n{_NO_TOOLKIT}"))
    assert "toolkit install with that CUDA version" in lines and "This prints it:" in lines and "install 1" not in lines


def test_the_wanted_toolkit_is_not_older_than_torchs() -> None:
    assert versions.for_torch("12.1", "11.6") == "12.1"
    assert versions.for_torch("11.7", "11.8") == "11.8"
    assert versions.for_torch("", "11.8") == "11.8"
    assert versions.major_differs("11.7", "12.8") and not versions.major_differs("12.1", "12.8")


@pytest.mark.parametrize(
    ("gpu", "cuda", "translated"), [("RTX 4090", "117", True), ("RTX 4090", "118", False), ("RTX 3090", "117", False)]
)
def test_a_gpu_newer_than_the_cuda_of_torch_takes_ptx(gpu: str, cuda: str, translated: bool) -> None:
    lines = fix(f"NVIDIA GeForce {gpu}\ntorch.__version__  = 2.0.1+cu{cuda}\n{_NO_TOOLKIT}")
    assert ("export TORCH_CUDA_ARCH_LIST=8.6+PTX" in lines) == translated


@pytest.mark.parametrize(
    ("release", "index"),
    [
        ("# R36 (release), REVISION: 4.3, BOARD: generic", "jp6/cu126"),
        ("JetPack 7.0 on a Jetson Thor", "whl/cu130"),
        ("# R35 (release), REVISION: 4.1, BOARD: t186ref, a Jetson", ""),
        ("a Jetson", "jp6/cu126"),
    ],
)
def test_torch_for_a_jetson_is_that_of_its_jetpack(release: str, index: str) -> None:
    lines = "\n".join(fix(f"{release}\n/etc/nv_tegra_release\nAssertionError: Torch not compiled with CUDA enabled"))
    assert ("pip install" in lines) == bool(index) and index in lines


def test_a_library_that_is_missing_after_a_jit_build_that_loaded_is_not_of_it() -> None:
    built = (
        "Emitting ninja build file /home/ada/x/build.ninja...\nninja: no work to do.\nLoading extension module x...\n"
    )
    missing = "ImportError: libcudart.so.9.2: cannot open shared object file: No such file or directory"
    assert fix(built + missing)[0] == "rm -rf /home/ada/x"
    assert "rm -rf" not in "".join(fix(f"{built}Time to load x op: 0.06 seconds\n{missing}"))


def test_a_driver_keeps_the_release_of_torch() -> None:
    wheel = versions.wheel_for_major("12.8", "2.9.0+cu130")
    assert wheel is not None and wheel.torch.startswith("2.9.") and wheel.cuda == "12.8"
    newest = versions.wheel_for_major("12.4")
    assert newest is not None and not newest.torch.startswith("2.9.") and newest.cuda.startswith("12.")


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (" > [4/9] RUN pip install x:\nfailed to solve: process \"/bin/sh -c pip\"\narch_list[-1] += '+PTX'", "ENV TORCH"),
        ("#18 [4/9] RUN pip install x\n#18 12.1     arch_list[-1] += '+PTX'", "ENV TORCH"),
        ("(venv) PS D:\\proj> python setup.py\n    arch_list[-1] += '+PTX'", "$env:TORCH"),
        ("C:\\proj> python setup.py\n    arch_list[-1] += '+PTX'", "set "),
        ("    arch_list[-1] += '+PTX'", "export TORCH"),
    ],
)  # fmt: skip
def test_variables_are_set_in_the_language_of_the_place(log: str, line: str) -> None:
    assert any(text.startswith(line) for text in fix(log)), fix(log)


@pytest.mark.parametrize("path", ["C:/Users/ada/a.c", "F:\\\\x\\\\a.c", "a.cp312-win_amd64.pyd"])
def test_windows_is_known_by_its_paths(path: str) -> None:
    log = f"{path}: x\n__triton_launcher.c:7: error: include file 'Python.h' not found"
    assert not any("apt-get" in line for line in fix(log))


def test_torch_for_windows_comes_from_an_index_with_cuda() -> None:
    log = "C:\\x> python a.py\nRuntimeError: operator torchvision::nms does not exist"
    assert [line for line in fix(log) if "--index-url" in line and "torchvision" in line]


def test_the_torchvision_of_the_torch_in_the_log() -> None:
    log = "torch.__version__ = 2.4.0+cu121\nRuntimeError: operator torchvision::nms does not exist"
    assert any("'torchvision==0.19.*' --index-url" in line and line.endswith("/cu121") for line in fix(log))


def _missing(importer: str, module: str) -> str:
    return f"  File \"{importer}\", line 3, in <module>\n    import {module}\nModuleNotFoundError: No module named '{module}'"


def test_what_is_installed_goes_before_it_is_built_and_its_users_stay() -> None:
    site = "/env/lib/python3.10/site-packages"
    own = fix(_missing(f"{site}/apex/normalization/fused_layer_norm.py", "fused_layer_norm_cuda"))
    assert own.index("pip uninstall -y apex") < own.index(
        "pip install -v --no-build-isolation --no-cache-dir git+https://github.com/NVIDIA/apex"
    )
    user = fix(_missing(f"{site}/transformers/models/detr.py", "MultiScaleDeformableAttention"))
    assert not any("uninstall" in line for line in user)


def test_a_checkout_in_the_traceback_is_where_it_is_built() -> None:
    log = "  File \"/data/ada/GroundingDINO/groundingdino/models/GroundingDINO/ms_deform_attn.py\", line 53, in f\nNameError: name '_C' is not defined"
    lines = fix(log)
    assert lines.index("cd /data/ada/GroundingDINO") < lines.index("pip install --no-build-isolation -e .")


def test_a_header_of_conda_goes_into_the_environment_of_its_nvcc() -> None:
    header = "CUDAContext.h:6:10: fatal error: cusparse.h: No such file or directory"
    conda = fix(f"{header}\nerror: command '/opt/conda/envs/net/bin/nvcc' failed with exit code 1")
    assert "export CUDA_HOME=/opt/conda/envs/net" in conda and not any("/usr/local" in line for line in conda)
    system = fix(
        f"/opt/conda/envs/net/lib/python3.10/site-packages/torch/include/ATen/cuda/{header}\n/usr/local/cuda-11.8/bin/nvcc -c a.cu"
    )
    assert not any(line.startswith("conda install") for line in system)


def test_the_sources_of_an_installed_package_are_not_ported_here() -> None:
    message = (
        'error: no suitable conversion function from "const at::DeprecatedTypeProperties" to "c10::ScalarType" exists'
    )
    path = "kernels/deformable_detr/cuda/ms_deform_attn_cuda.cu"
    assert "pip install --upgrade transformers" in fix(
        f"/env/lib/python3.11/site-packages/transformers/{path}(69): {message}"
    )
    assert fix(f"/home/ada/net/{path}(69): {message}")[0].startswith("dcnbuild port --in-place ")


def test_the_directory_above_the_build_is_the_projects() -> None:
    build = "FAILED: /home/ada/pcdet/build/temp.linux-x86_64-cpython-38/pcdet/ops/iou/src/a.o"
    source = "/home/ada/pcdet/pcdet/ops/iou/src/a.cpp:12:10: fatal error: THC/THC.h: No such file or directory"
    assert "dcnbuild port --in-place /home/ada/pcdet" in fix(f"{build}\n{source}")


def test_architectures_of_the_setup_py_are_not_mended_by_a_variable() -> None:
    error = "nvcc fatal   : Unsupported gpu architecture 'compute_70'"
    own = fix(f"/usr/local/cuda/bin/nvcc -c a.cu -gencode arch=compute_70,code=sm_70\n{error}")
    assert not any("TORCH_CUDA_ARCH_LIST" in line for line in own) and "dcnbuild port --in-place ." in own
    torchs = fix(f"/usr/local/cuda/bin/nvcc -c a.cu -gencode=arch=compute_70,code=sm_70\n{error}")
    assert any("TORCH_CUDA_ARCH_LIST" in line for line in torchs)


@pytest.mark.parametrize(
    "tail",
    ["Failed to build 'git+{}' when getting requirements", "  Building wheel for detectron2 (setup.py) ... error"],
)
def test_what_came_from_a_repository_is_built_from_it_again(tail: str) -> None:
    address = "https://github.com/facebookresearch/detectron2.git"
    log = (
        f"Collecting git+{address}\nModuleNotFoundError: No module named 'torch'\nerror: subprocess-exited-with-error\n"
    )
    assert f"pip install --no-build-isolation git+{address}" in fix(log + tail.format(address))


def test_each_row_of_the_surroundings_is_a_property() -> None:
    """With its own name: the class lists them, so that type checkers know them."""
    log = Log("release 12.4, V12.4.131\nC:\\src> cl.exe\n")
    shown = {name: getattr(Context(log, 0), name) for name in SHOWN}
    assert shown["toolkit"] == "12.4" and shown["windows"] and not shown["mac"] and shown["torch"] is None
    assert not hasattr(Context(log, 0), "toolkits")


def test_lines_of_a_dockerfile_are_of_one_language() -> None:
    step = "#9 [4/8] RUN pip install .\n#9 8.31 src/a.c:1:10: fatal error: {}: No such file or directory\n"
    assert fix(step.format("Python.h"))[1].startswith("RUN apt-get update && apt-get install -y ")
    assert fix(step.format("THC/THC.h"))[0].startswith(
        "# Outside the image, in the checkout that it copies: dcnbuild port --in-place "
    )
    lines = fix(f"#9 [4/8] RUN pip install .\n#9 8.3 {_NO_TOOLKIT}\n")
    assert any(line.startswith("# FROM ") for line in lines)
    assert all(line.startswith(("#", "ENV ", "RUN ", "WORKDIR ")) for line in lines)


def test_alternatives_are_not_pasted() -> None:
    lines = fix("torch 2.5.1+cu124\nbash: nvcc: command not found")
    after = lines[next(number for number, line in enumerate(lines) if line.startswith("# or")) :]
    assert after[1:] and all(line.startswith("# ") for line in after)
