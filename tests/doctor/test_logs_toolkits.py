"""A log that lists the toolkits that are there: the fix uses the one that suits, and installs none."""

from __future__ import annotations

import pytest
from doctor.reading import findings

_UNSET = "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root."
_MISMATCH = (
    "The detected CUDA version (11.7) mismatches the version that was used to compile\nPyTorch (12.1). Please make sure"
)
_OLD = "nvcc fatal   : Unsupported gpu architecture 'compute_120'"
_CUDART = "ImportError: libcudart.so.11.0: cannot open shared object file: No such file or directory"
_LONG = "drwxr-xr-x 17 root root 4096 Mar  5  2024 cuda-11.8\ndrwxr-xr-x 17 root root 4096 Mar  5  2024 cuda-12.4"


@pytest.mark.parametrize(
    ("listing", "error", "line"),
    [
        ("$ ls /usr/local/ | grep cuda\ncuda-11.8\ncuda-12.1\ncuda-12.4\ntorch 2.5.1+cu121", _UNSET, "CUDA_HOME=/usr/local/cuda-12.1"),
        # torch takes any toolkit of the major release that it was built for
        ("$ ls /usr/local\nbin  cuda  cuda-11.7  cuda-12.4  etc", _MISMATCH, "CUDA_HOME=/usr/local/cuda-12.4"),
        (f"$ ls -l /usr/local\n{_LONG}", _MISMATCH, "CUDA_HOME=/usr/local/cuda-12.4"),
        ("$ ls /usr/local/\nbin  cuda-12.1  cuda-12.8  etc", _OLD, "CUDA_HOME=/usr/local/cuda-12.8"),
        ("$ ls /usr/local/\nbin cuda-12.4 lib share", "bash: nvcc: command not found", "CUDA_HOME=/usr/local/cuda-12.4"),
        ("$ ls /usr/local | grep cuda\ncuda-11.8\ncuda-12.2", _CUDART, 'LD_LIBRARY_PATH=/usr/local/cuda-11.8/lib64:"$LD_LIBRARY_PATH"'),
    ],
)  # fmt: skip
def test_the_listed_toolkit_is_used(listing: str, error: str, line: str) -> None:
    fix = findings(f"{listing}\n$ pip install -e .\n{error}")[0].fix
    assert f"export {line}" in fix, fix
    assert not any("apt-get" in other or "toolkit install" in other for other in fix), fix


def test_on_windows_too() -> None:
    listing = 'PS C:\\p> dir "C:\\Program Files\\NVIDIA GPU Computing Toolkit\\CUDA"\nd-----        2024-01-01     10:00                v12.1'
    fix = findings(f"{listing}\nPS C:\\p> pip install -e .\n{_MISMATCH}")[0].fix
    assert fix[0] == r"$env:CUDA_HOME = 'C:\Program Files\NVIDIA GPU Computing Toolkit\CUDA\v12.1'", fix


@pytest.mark.parametrize(
    "listing",
    [
        "$ ls /usr/local | grep cuda\ncuda-11.8",  # of another major release
        "$ conda install -c nvidia/label/cuda-12.1.0 cuda-toolkit",  # nobody lists what is there
        "ls: cannot access '/usr/local/cuda-12.1': No such file or directory",
    ],
)
def test_another_is_installed_where_none_suits(listing: str) -> None:
    fix = findings(f"{listing}\ntorch 2.5.1+cu121\n$ pip install -e .\n{_UNSET}")[0].fix
    assert not any(line == "export CUDA_HOME=/usr/local/cuda-11.8" for line in fix)
    assert any("cuda-toolkit-12-1" in line or "printenv CONDA_PREFIX" in line for line in fix), fix


def test_what_only_shows_is_not_run_again() -> None:
    fix = findings(f"$ ls /usr/local | grep cuda\ncuda-11.8\ncuda-12.2\n{_CUDART}")[0].fix
    assert not any(line.startswith("ls") for line in fix)
