"""What a build says of a toolkit that is not there, too old, or asked for more than the project supports."""

from __future__ import annotations

import pytest

from dcnbuild import explain

_NONE = "TypeError: unsupported operand type(s) for %s: 'NoneType' and 'str'"
_OLD = "nvcc -c a.cu\n/usr/include/crt/host_config.h:138:2: error: #error -- unsupported GNU version! "
_CONSTEVAL = 'error: call to consteval function "std::source_location::current" did not produce a valid constant'


@pytest.mark.parametrize(
    ("log", "title", "line"),
    [
        # CUDA_HOME of torch is None: the function that joins it is told by its name alone
        (f'  File "<string>", line 24, in get_cuda_bare_metal_version\n{_NONE % "+"}', "CUDA_HOME is not set", ""),
        (f'  File "<string>", line 9, in installed_cuda_version\n{_NONE % "/"}', "CUDA_HOME is not set", ""),
        (
            "ValueError: Unsupported CUDA arch (6.1). Valid CUDA arch strings are: ['7.0', '7.5'].",
            "setup.py refuses an entry of TORCH_CUDA_ARCH_LIST: 6.1",
            "unset TORCH_CUDA_ARCH_LIST",
        ),
        (
            f"torch.__version__ = 2.1.0+cu121\n/usr/bin/{_OLD}gcc versions later than 10 are not supported!",
            "nvcc is too old for this torch",
            "export CUDA_HOME=/usr/local/cuda-12.1",
        ),
        # a gcc that every toolkit of that CUDA refuses stays what is at fault
        (f"torch.__version__ = 2.1.0+cu118\n{_OLD}gcc versions later than 11 are not supported!", "gcc is too new", ""),
        (f"/w/a.cuh(9): {_CONSTEVAL}\nCuda compilation tools, release 12.0", "nvcc is too old for the C++20", ""),
        (
            "$ git clone https://github.com/o/net\nsrc/a.cpp:2:10: fatal error: extern/json/a.hpp: No such file or directory",
            "A git submodule was not checked out",
            "git submodule update --init --recursive",
        ),
    ],
)
def test_what_a_build_says_of_its_toolkit(log: str, title: str, line: str) -> None:
    found = explain(log)[0]
    assert found.title.startswith(title)
    assert not line or line in found.fix
