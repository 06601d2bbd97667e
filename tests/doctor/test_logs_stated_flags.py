"""Tests that what a log states decides: the flags of a command, an index, sudo, the kind of torch, the machine."""

from __future__ import annotations

import pytest

from dcnbuild.doctor.logs import read_log

NO_TORCH = "  error: subprocess-exited-with-error\n  × Getting requirements to build wheel did not run successfully.\n"
NO_TORCH += "      ModuleNotFoundError: No module named 'torch'\nERROR: Failed to build '{}' when getting requirements to build wheel"
UV = "me@h:~/p$ uv add {}\n  × Failed to download and build `{}`\n"
UV += "  ├─▶ Build backend failed to determine requirements with `build_wheel()` (exit status: 1)\n"
UV += (
    "  │   ModuleNotFoundError: No module named 'torch'\n  ╰─▶ This error likely indicates that `{}` depends on `torch`"
)
INDEX = "https://download.pytorch.org/whl/"
NONE = "ERROR: Could not find a version that satisfies the requirement {0} (from versions: none)\n"
NONE += "ERROR: No matching distribution found for {0}"
SETUP = '  File "/w/setup.py", line 21, in <module>\n    {}\n{}'
VAST = "(detectron) me@box:~/p$ sudo {}\nModuleNotFoundError: No module named 'torch'"
LINK = "c++ a.o -shared -L/usr/local/cuda/lib64 -L/usr/local/cuda/lib64/stubs -lcuda -o a.so\n"


@pytest.mark.parametrize(
    ("log", "id", "cause", "fix"),
    [
        # an index that is not there: the nearest that is, for the torch that was asked for
        (f"$ pip install torch==2.10.0 -i {INDEX}cu131\n{NONE.format('torch==2.10.0')}", "", "no index cu131", "cu130"),
        (f"$ pip install torch==2.0.1 -i {INDEX}cu120\n{NONE.format('torch==2.0.1')}", "", "CUDA 12.0", "cu118"),
        (f"$ pip install xformers -i {INDEX}cu125\n{NONE.format('xformers')}", "", "no index cu125", "cu124"),
        (
            f"$ uv pip install torch --index-url {INDEX}cu127\nerror: Failed to fetch: `{INDEX}cu127/torch/`\n"
            f"  Caused by: HTTP status client error (403 Forbidden) for url ({INDEX}cu127/torch/)",
            "torch-version-unavailable",
            "no index cu127",
            "cu126",
        ),
        # architectures of the command
        (
            'nvcc -gencode=arch=compute_52,code=sm_52 -c a.cu\na.cu(5): error: identifier "__hadd2" is undefined',
            "no-gpu-code",
            "compiled for compute_52",
            "TORCH_CUDA_ARCH_LIST",
        ),
        (
            'nvcc -gencode=arch=compute_75,code=sm_75 -c a.cu\na.cu(5): error: identifier "__hmax2" is undefined',
            "no-gpu-code",
            "capability 8.0",
            "",
        ),
        (
            'nvcc -gencode=arch=compute_86,code=sm_86 -c a.cu\na.cu(5): error: identifier "__hadd2" is undefined',
            "missing-include",
            "cuda_fp16.h",
            "",
        ),
        # a torch without CUDA, by what it says of its own
        (
            SETUP.format(
                "v = torch.version.cuda.split('.')", "AttributeError: 'NoneType' object has no attribute 'split'"
            ),
            "cpu-only-torch",
            "/w/setup.py",
            "torch",
        ),
        (
            SETUP.format("v = torch.version.cuda[:2]", "TypeError: 'NoneType' object is not subscriptable"),
            "cpu-only-torch",
            "CPU-only",
            "torch",
        ),
        # sudo, with an environment that is active
        (VAST.format("sh build.sh"), "sudo-environment", "environment detectron", "sh build.sh"),
        (VAST.format("/home/me/e/envs/detectron/bin/python setup.py install"), "torch-missing", "", ""),
        (VAST.format('env "PATH=$PATH" python train.py'), "torch-missing", "", ""),
        # the quotes of gcc, and what nvcc was told of itself
        (
            "W cpp_extension.py:546] The detected CUDA version (13.3) has a minor version mismatch with the version that "
            "was used to compile PyTorch (13.0).\n/e/torch/include/ATen/core/List_inl.h:202:52: error: need ‘typename’ "
            "before ‘decltype (a)::difference_type’ because ‘decltype (a)’ is a dependent scope",
            "compile-error",
            "CUDA 13.3",
            "13.0",
        ),
        (
            "/opt/cuda/bin/nvcc -c q.cu\n/e/torch/include/pybind11/cast.h:45:120: error: expected template-name before "
            "‘<’ token",
            "compile-error",
            "fault of nvcc",
            "g++-11",
        ),
        (f"{LINK}/usr/bin/ld: cannot find -lcuda", "library-missing", "lib64/stubs already", "/usr/local/nvidia/lib64"),
        # which package failed, what was only downloaded, and what has no wheel
        (
            "$ pip install torch flash-attn\nCollecting torch\n  Downloading torch-2.9.1-cp312-cp312-manylinux_2_28_x86_64."
            f"whl.metadata (30 kB)\n{NO_TORCH.format('flash-attn')}",
            "build-isolation",
            "setup.py of flash-attn",
            "torch==2.9.1",
        ),
        (
            "$ pip install -e . -f https://data.pyg.org/whl/torch-2.13.0+cu126.html\nCollecting torch\n  Using cached "
            f"torch-2.13.0-cp312-cp312-manylinux_2_28_x86_64.whl.metadata (30 kB)\n{NO_TORCH.format('torch-sparse')}",
            "build-isolation",
            "no wheel of torch-sparse for torch 2.13.0",
            "torch-2.12.0+cu126.html",
        ),
        (
            UV.format("torch torch_cluster", "torch-cluster==1.6.3", "torch-cluster@1.6.3"),
            "build-isolation",
            "setup.py of torch-cluster",
            "uv add torch",
        ),
        # sources without submodules
        (
            "me@h:~/gaussian-splatting-main$ pip install submodules/diff-gaussian-rasterization\n  /home/me/gaussian-splatting-"
            "main/submodules/diff-gaussian-rasterization/cuda_rasterizer/forward.h:18:10: fatal error: glm/glm.hpp: No such "
            "file or directory",
            "header-missing",
            "comes without submodules",
            "cd gaussian-splatting",
        ),
        # a Jetson by its name
        (
            "nvidia@orin:~/p$ pip install .\nValueError: invalid literal for int() with base 10: '90a'",
            "unknown-cuda-arch",
            "ARM servers",
            "export TORCH_CUDA_ARCH_LIST=8.7",
        ),
        # what a RUN does first, and an environment that conda has made
        (
            "#17 [9/14] RUN git clone https://github.com/a/b.git && cd b && pip wheel -v .\n"
            f"#17 3.1 {NO_TORCH.format('file:///b').splitlines()[1]}\n#17 5.9   ModuleNotFoundError: No module named 'torch'",
            "build-isolation",
            "",
            "RUN git clone https://github.com/a/b.git && cd b && pip wheel --no-build-isolation -v .",
        ),
        (
            "(base) C:\\g>conda env create --file environment.yml\nPip subprocess error:\nERROR: Directory 'submodules/knn' is "
            "not installable. Neither 'setup.py' nor 'pyproject.toml' found.\nCondaEnvException: Pip failed",
            "not-a-project",
            "",
            "conda env update --file environment.yml",
        ),
    ],
)
def test_what_the_log_states_decides(log: str, id: str, cause: str, fix: str) -> None:
    found = read_log(log)[0]
    assert found.id == (id or "torch-version-unavailable")
    assert cause in found.cause
    assert fix in "\n".join(found.fix)


def test_who_ends_its_own_program_has_not_run_out_of_memory() -> None:
    log = "Received sigquit from a child process. It usually means the child failed.\nKilled"
    assert "out-of-memory" not in [found.id for found in read_log(f"$ python serve.py\n{log}")]
    assert "out-of-memory" in [found.id for found in read_log("$ python serve.py\nKilled")]
