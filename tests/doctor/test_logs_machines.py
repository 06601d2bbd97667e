"""Machines on which the usual fix does nothing: NixOS, a GPU of AMD, a PATH with the link.exe of Git."""

from __future__ import annotations

import pytest
from doctor.reading import findings

_NIX = "[u@nixos:~/p]$ python train.py\n"
_LINK = r"error: command 'C:\\Program Files\\Git\\usr\\bin\\link.exe' failed with exit code 1"
_NAVI = "03:00.0 VGA compatible controller: Advanced Micro Devices, Inc. [AMD/ATI] Navi 31 [Radeon RX 7900 XTX]"
_NO_DRIVER = "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU"
_NO_HOME = "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root."


@pytest.mark.parametrize(
    ("log", "kind", "line"),
    [
        (f"{_NIX}AssertionError: libcuda.so cannot found!", "library-missing", "export TRITON_LIBCUDA_PATH=/run/opengl-driver/lib"),
        (
            f"{_NIX}ImportError: libz.so.1: cannot open shared object file: No such file or directory",
            "library-not-found",
            "export LD_LIBRARY_PATH=\"$(sh -c 'echo $(nix-build \"<nixpkgs>\" -A zlib --no-out-link)/lib:/run/opengl-driver/lib')\"",
        ),
        (f"{_NIX}bash: ./bin/x: cannot execute: required file not found", "nixos", "sudo nixos-rebuild switch"),
        (f"{_NIX}bash: .venv/bin/ninja: cannot execute: required file not found", "nixos", "nix-shell -p ninja"),
        (f"C:\\p> pip install .\n/usr/bin/link: extra operand '/LTCG'\n{_LINK}", "link-of-another", "where link"),
        (f"C:\\p> pip install .\n{_LINK}", "link-of-another", "set DISTUTILS_USE_SDK=1"),
        (
            "u@pc MINGW64 ~/p\n$ pip install .\nlink: extra operand '/nologo'",
            "link-of-another",
            'export PATH="$(sh -c \'echo "$(dirname "$(command -v cl)"):$PATH"\')"',
        ),
        (
            f"{_NAVI}\ntorch 2.5.1+cu124\n{_NO_DRIVER}",
            "rocm",
            "pip install torch torchvision torchaudio --index-url https://download.pytorch.org/whl/rocm6.4",
        ),
        (f"{_NAVI}\ntorch 2.5.1+cu124\n{_NO_HOME}", "rocm", "export ROCM_HOME=/opt/rocm"),
    ],
)  # fmt: skip
def test_the_fix_is_that_of_the_machine(log: str, kind: str, line: str) -> None:
    found = findings(log)[0]
    assert found.id == kind and line in found.fix, found


@pytest.mark.parametrize(
    "log",
    [
        f"{_NAVI}\n01:00.0 3D controller: NVIDIA Corporation AD107M [GeForce RTX 4060]\n{_NO_DRIVER}",  # has both
        f"model name : AMD Ryzen 9 7950X\n{_NO_DRIVER}",  # a processor of AMD
        "$ link a b\nlink: cannot create link 'b' to 'a': File exists",
        f"{_NO_DRIVER}",
    ],
)
def test_others_are_not_taken_for_them(log: str) -> None:
    assert not any(found.id in ("rocm", "nixos", "link-of-another") for found in findings(log))


def test_no_wheel_for_amd_is_installed_on_windows() -> None:
    fix = findings(f"C:\\ComfyUI> python main.py\nAMD Radeon RX 7900 XTX\n{_NO_DRIVER}")[0].fix
    assert all(line.startswith("rem ") for line in fix if "rocm" in line), fix
