"""Tests kinds of fixes over shells, tools and places: Windows, pixi, ARM, pip's own directories, no network, warnings."""

from __future__ import annotations

import pytest
from doctor.reading import findings


def fix(log: str) -> list[str]:
    """The lines of the first finding's fix."""
    return list(findings(log)[0].fix)


_VS = r"C:\Program Files\Microsoft Visual Studio\2022\Community"
_CL = rf"{_VS}\VC\Tools\MSVC\14.38.33130\bin\HostX86\x86\cl.exe /c a.cpp" "\n"
_X86 = f"{_CL}LINK : fatal error LNK1112: module machine type 'x64' conflicts with target machine type 'x86'"
_LOST = (
    rf'PS C:\w> & "{_VS}\VC\Auxiliary\Build\vcvarsall.bat" x64'
    "\nPS C:\\w> pip install .\nerror: Microsoft Visual C++ 14.0 or greater is required."
)


@pytest.mark.parametrize("log", [rf"PS C:\w> python setup.py install" f"\n{_X86}", _LOST])
def test_powershell_takes_the_variables_of_visual_studio_itself(log: str) -> None:
    lines = fix(log)
    assert not any("vcvarsall.bat" in line and not line.startswith("#") for line in lines)
    assert any(line.startswith(f"Enter-VsDevShell -VsInstallPath '{_VS}'") for line in lines)
    assert not any(line.startswith("winget") for line in lines)


def test_cmd_calls_the_script() -> None:
    assert rf'"{_VS}\VC\Auxiliary\Build\vcvarsall.bat" x64' in fix(rf"C:\w>python setup.py install" f"\n{_X86}")


_UNSET = "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root."
_V121 = r"C:\Program Files\NVIDIA GPU Computing Toolkit\CUDA\v12.1"


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (rf"PS C:\w> set CUDA_HOME={_V121}" f"\nPS C:\\w> pip install .\n{_UNSET}", f"$env:CUDA_HOME = '{_V121}'"),
        (rf'C:\w>setx CUDA_HOME "{_V121}"' f"\nC:\\w>pip install .\n{_UNSET}", f'set "CUDA_HOME={_V121}"'),
        (
            rf'C:\w>set CUDA_HOME="{_V121}"'
            "\nerror: [WinError 2] The system cannot find the file specified: " + repr(rf'"{_V121}"\bin\nvcc'),
            f'set "CUDA_HOME={_V121}"',
        ),
        (
            "PS C:\\w> export MAX_JOBS=2\nexport : The term 'export' is not recognized as the name of a cmdlet",
            "$env:MAX_JOBS = '2'",
        ),
        (
            "PS C:\\w> cd ops && python setup.py install\nThe token '&&' is not a valid statement separator in this version.",
            "cmd /c 'cd ops && python setup.py install'",
        ),
    ],
)
def test_what_another_shell_would_set_is_set_in_this_one(log: str, line: str) -> None:
    assert line in fix(log)


@pytest.mark.parametrize(
    ("start", "python"),
    [
        (r"D:\ui>.\python_embeded\python.exe -s main.py" "\n", r"D:\ui\python_embeded\python.exe -s"),
        (
            r"D:\ui>run.bat"
            "\n"
            r'  File "D:\ui\python_embeded\Lib\site-packages\torch\utils\_triton.py", line 3'
            "\n",
            r"D:\ui\python_embeded\python.exe -s",
        ),
        ("C:\\w>py -3.11 -m pip install x\n", "py -3.11"),
    ],
)
def test_pip_is_that_of_the_python_that_runs(start: str, python: str) -> None:
    lines = [
        line for line in fix(f"{start}ModuleNotFoundError: No module named 'triton'") if not line.startswith("rem ")
    ]
    assert f"{python} -m pip install triton-windows" in lines
    assert all(line.startswith(python) or line == "run.bat" for line in lines)  # that is the program, once more


_NO_CUDA = "AssertionError: Torch not compiled with CUDA enabled"


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (f"$ pixi run python t.py\n{_NO_CUDA}", "pixi add pytorch-gpu"),
        (
            f"# R36 (release), REVISION: 4.3\n{_NO_CUDA}",
            "pip install torch torchvision torchaudio --index-url https://pypi.jetson-ai-lab.io/jp6/cu126",
        ),
        (
            f"GPU 0: NVIDIA GB10\n{_NO_CUDA}",
            "pip install torch torchvision torchaudio --index-url https://download.pytorch.org/whl/cu130",
        ),
        (
            f"GPU 0: NVIDIA GH200 480GB\ntorch 2.6.0+cpu\n{_NO_CUDA}",
            "pip install torch==2.6.0 'torchvision==0.21.*' 'torchaudio==2.6.*' --index-url https://download.pytorch.org/whl/cu126",
        ),
        (
            "$ pixi install\nNo module named 'torch'\nModuleNotFoundError: No module named 'torch'\n"
            "The build backend returned an error\n  Call to `setuptools.build_meta.build_wheel` failed\n",
            "pixi add pytorch-gpu setuptools wheel ninja packaging",
        ),
    ],
)
def test_torch_comes_from_where_the_machine_and_the_tool_have_it(log: str, line: str) -> None:
    assert line in fix(log)


@pytest.mark.parametrize(
    "begin",
    [
        "$ pip install git+https://github.com/acme/ops.git\n  Cloning https://github.com/acme/ops.git to {0}\n",
        "$ pip install acme-ops==1.0\nCollecting acme-ops==1.0\n  Downloading acme-ops-1.0.tar.gz (2 kB)\n  Building wheel for acme-ops (setup.py): started\n",
        "$ uv pip install git+https://github.com/acme/ops\n",
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        "/tmp/pip-req-build-0a1b2c3d",
        "/tmp/pip-install-9kd2x1/acme-ops_8f1e2d",
        "/home/u/.cache/uv/git-v0/checkouts/3f/abcd",
    ],
)
@pytest.mark.parametrize(
    "message",
    [
        "{0}/src/a.cu:4:10: fatal error: THC/THC.h: No such file or directory",
        "{0}/src/a.cu:10:35: error: 'AT_CHECK' was not declared in this scope",
        "{0}/src/a.cu:10:35: error: 'FLT_MAX' was not declared in this scope",
        "{0}/src/a.h:5:10: fatal error: cutlass/cutlass.h: No such file or directory",
        "{0}/src/a.cu:3:10: fatal error: nvToolsExt.h: No such file or directory",
        '{0}/src/a.cu(30): error: no suitable conversion function from "const at::DeprecatedTypeProperties" to "c10::ScalarType" exists',
    ],
)
def test_nobody_works_in_a_directory_that_pip_has_deleted(begin: str, place: str, message: str) -> None:
    lines = fix((begin + "      " + message).format(place) + "\n      error: command 'gcc' failed with exit code 1")
    assert not any(name in line for line in lines for name in ("pip-req-build", "pip-install-", "git-v0"))


def test_a_line_that_changes_such_a_source_changes_a_copy_of_ones_own() -> None:
    log = "  Cloning https://github.com/acme/ops.git to /tmp/pip-req-build-1\n/tmp/pip-req-build-1/src/a.cu:10:35: error: 'FLT_MAX' was not declared in this scope"
    lines = fix(log + "\nerror: command 'gcc' failed with exit code 1")
    assert lines.index("git clone --recursive https://github.com/acme/ops") < lines.index(
        "sed -i '1i #include <cfloat>' ops/src/a.cu"
    )
    assert lines[-1] == "pip install --no-build-isolation ./ops"


_HARMLESS = [
    "CMake Deprecation Warning at CMakeLists.txt:1 (cmake_minimum_required):\n  Compatibility with CMake < 3.10 will be removed from a future version of\n  CMake.\n",
    "CMake Warning (dev) at /usr/share/cmake/FindCUDA.cmake:310 (message):\n  Policy CMP0146 is not set: The FindCUDA module is removed.\n",
    "nvcc warning : Support for offline compilation for architectures prior to '<compute/sm/lto>_75' will be removed in a future release\n",
    "/v/setup.py:8: UserWarning: pkg_resources is deprecated as an API.\n",
    "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(': Network is unreachable')': /simple/x/\nCollecting x\n",
    "You are in 'detached HEAD' state. You can look around, make experimental\nchanges and commit them\n",
    "W: GPG error: https://x InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY A4B469963BF863CC\n",
    "WARNING: Running pip as the 'root' user can result in broken permissions\n",
    "-- Could NOT find Doxygen (missing: DOXYGEN_EXECUTABLE)\n",
    "A matching Triton is not available, some optimizations will not be enabled\nTraceback (most recent call last):\n  File \"/v/xformers/__init__.py\", line 5, in f\nModuleNotFoundError: No module named 'triton'\nrunning build\nrunning build_py\nrunning build_ext\nbuilding\n",
]
_FAILURES = [
    "-- The CUDA compiler identification is unknown\nCMake Error at CMakeLists.txt:8 (enable_language):\n  No CMAKE_CUDA_COMPILER could be found.",
    "nvcc fatal   : Unsupported gpu architecture 'compute_30'\nerror: command 'nvcc' failed with exit code 1",
    "c++: fatal error: Killed signal terminated program cc1plus",
    "/w/a.cu:7:10: fatal error: cusolverDn.h: No such file or directory",
]


@pytest.mark.parametrize("harmless", _HARMLESS)
@pytest.mark.parametrize("failure", _FAILURES)
def test_what_stops_nothing_does_not_come_first(harmless: str, failure: str) -> None:
    assert findings(harmless + failure)[0].id == findings(failure)[0].id


_LOST_NETWORK = [
    "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(': Failed to establish a new connection: [Errno 101] Network is unreachable')': /simple/setuptools/\nERROR: Could not find a version that satisfies the requirement setuptools>=61 (from versions: none)\n",
    "  error: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution\nERROR: No matching distribution found for setuptools>=61\n",
    "  Caused by: dns error: failed to lookup address information: Temporary failure in name resolution\n",
]


@pytest.mark.parametrize("lost", _LOST_NETWORK)
@pytest.mark.parametrize("command", ["pip install ./ops", "pip install flash-attn", "uv pip install torch-scatter"])
@pytest.mark.parametrize(
    "after",
    [
        "",
        "ModuleNotFoundError: No module named 'packaging'\n",
        "RuntimeError: Ninja is required to load C++ extensions\n",
    ],
)
def test_without_a_network_that_is_what_comes_first(lost: str, command: str, after: str) -> None:
    found = findings(f"$ {command}\n  Installing build dependencies ... error\n{lost}{after}")
    assert [finding.id for finding in found] == ["network"]
    assert any(
        line.startswith("# pip download -d wheels")
        or line.startswith("# pip download --no-build")
        or "uv pip download" in line
        for line in found[0].fix
    )
    words = command.partition("install ")
    assert f"{words[0]}install --no-index --find-links wheels {words[2]}" in found[0].fix


def test_a_proxy_a_repository_and_an_image_have_ways_of_their_own() -> None:
    proxy = "C:\\w>pip install torch\nProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407 Proxy Authentication Required'))\nERROR: No matching distribution found for torch"
    assert any(line.startswith("rem Set HTTPS_PROXY and HTTP_PROXY to the address") for line in fix(proxy))
    assert not any(line.startswith('set "') for line in fix(proxy))
    git = "$ pip install git+https://github.com/NVlabs/tiny-cuda-nn#subdirectory=bindings/torch\n  fatal: unable to access 'https://github.com/NVlabs/tiny-cuda-nn/': Could not resolve host: github.com"
    assert fix(git)[-1] == "pip install --no-build-isolation ./tiny-cuda-nn/bindings/torch"
    image = "#6 [2/4] RUN apt-get update && apt-get install -y ninja-build\n#6 30.1   Temporary failure resolving 'archive.ubuntu.com'\n#6 30.3 E: Unable to locate package ninja-build"
    assert any("--network host" in line for line in fix(image))
