"""Runs all probes, and returns the facts of this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dcnbuild.machine.compilers import find_compilers, nvcc_host_compiler
from dcnbuild.machine.driver import find_driver
from dcnbuild.machine.facts import Facts, TorchInstall
from dcnbuild.machine.jit_caches import find_jit_caches
from dcnbuild.machine.libraries import own_libraries, read_library
from dcnbuild.machine.paths import find_path_entries
from dcnbuild.machine.python import find_python
from dcnbuild.machine.system import find_machine
from dcnbuild.machine.toolkits import (
    find_package_headers,
    find_toolkits,
    torch_cuda_home,
)
from dcnbuild.machine.torch_install import find_torches

#: Variables that change a build or a program.
VARIABLES = (
    "CC",
    "CFLAGS",
    "CONDA_PREFIX",
    "CPPFLAGS",
    "CUDAHOSTCXX",
    "CUDA_HOME",
    "CUDA_PATH",
    "CUDA_VISIBLE_DEVICES",
    "CXX",
    "CXXFLAGS",
    "DCNBUILD_CUDA",
    "FORCE_CUDA",
    "HOME",
    "LDFLAGS",
    "LD_PRELOAD",
    "MAX_JOBS",
    "NVCC_APPEND_FLAGS",
    "NVCC_CCBIN",
    "NVCC_PREPEND_FLAGS",
    "PIP_NO_BUILD_ISOLATION",
    "PYTHONPATH",
    "SHELL",
    "TORCH_CUDA_ARCH_LIST",
    "TORCH_EXTENSIONS_DIR",
    "VIRTUAL_ENV",
)

#: Variables whose empty value has a meaning too.
_EMPTY = {"CUDA_VISIBLE_DEVICES"}


def collect(
    env: Mapping[str, str],
    libraries: Iterable[Path] = (),
    prefix: Path | None = None,
    root: Path = Path("/"),
    package: Path = Path(__file__).parent.parent,
    torch: TorchInstall | None = None,
) -> Facts:
    """Returns the facts of this machine, in well under a second.

    Args:
        env: the environment variables.
        libraries: extension libraries to examine, besides dcnbuild's own.
        prefix: the Python environment whose torch is examined; by default this interpreter's.
        root: the root of the file system (another directory in tests).
        package: the dcnbuild whose own libraries are examined.
        torch: the torch, if the caller has already found it; then no other is searched.
    """
    # runs the three probes that wait for other programs at the same time
    with ThreadPoolExecutor(max_workers=3) as pool:
        driver = pool.submit(find_driver, env, root)
        toolkits = pool.submit(find_toolkits, env, prefix, root)
        compilers = pool.submit(find_compilers, env)
        torches = [torch] if torch else find_torches(prefix, env)
        torch = torches[0] if torches else None
        own = own_libraries(package)
        found_libraries = [read_library(path, env, torch, path in own, root) for path in [*own, *libraries]]
        nvcc = next((toolkit.nvcc for toolkit in toolkits.result()), None)
        return Facts(
            machine=find_machine(env, root),
            python=find_python(env, root),
            torch=torch,
            shadowed_torches=tuple(torches[1:]),
            cuda_home=torch_cuda_home(env, root),
            package_headers=tuple(find_package_headers(env, prefix)),
            paths=tuple(find_path_entries(env)),
            variables={name: env[name] for name in VARIABLES if env.get(name) or name in _EMPTY & set(env)},
            jit_caches=tuple(find_jit_caches(env)),
            libraries=tuple(found_libraries),
            driver=driver.result(),
            toolkits=tuple(toolkits.result()),
            compilers=tuple(compilers.result()),
            nvcc_compiler=nvcc_host_compiler(env, compilers.result(), nvcc=nvcc),
        )
