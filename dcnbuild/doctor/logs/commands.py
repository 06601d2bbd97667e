"""Lines of fixes that several rules share, in the words of the system that the log comes from."""

from __future__ import annotations

import re

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Target
from dcnbuild.doctor.logs.rule import Hit

#: The line that asks the GPUs of this machine for their capabilities.
ASK_GPUS = (
    'export TORCH_CUDA_ARCH_LIST="$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader '
    "| sort -u | paste -sd';')\""
)
#: The lines that build the project in the current directory anew, against the installed torch.
REBUILD = (
    "rm -rf build *.egg-info",
    "pip install --no-build-isolation --no-cache-dir --no-deps --force-reinstall .",
)


def export(hit: Hit, name: str, value: str) -> str:
    """The line that sets an environment variable in the shell of the log's system."""
    if hit.context.windows:
        return f"set {name}={value}"
    if hit.facts is not None:
        return fixes.set_env(name, value).lines(Target.of(hit.facts))[0]
    return f'export {name}="{value}"' if set(value) & set(" ;$()'*") else f"export {name}={value}"


def cuda_home(hit: Hit, version: str | None = None) -> tuple[str, ...]:
    """The lines that make a toolkit the one in use; its version as far as it is known."""
    if hit.context.windows:
        base = r"C:\Program Files\NVIDIA GPU Computing Toolkit\CUDA"
        home = rf"{base}\v{version}" if version else rf"{base}\vX.Y"
        return (f"set CUDA_HOME={home}", r"set PATH=%CUDA_HOME%\bin;%PATH%")
    home = f"/usr/local/cuda-{version}" if version else "/usr/local/cuda"
    if hit.facts is not None:
        fitting = [kit for kit in hit.facts.toolkits if version in (None, kit.version)]
        home = str(fitting[0].root) if fitting else home
    return (export(hit, "CUDA_HOME", home), 'export PATH="$CUDA_HOME/bin:$PATH"')


def install_toolkit(hit: Hit, version: str) -> str:
    """The line that installs a CUDA toolkit of this version."""
    if hit.context.conda or hit.context.windows:
        return f"conda install -c nvidia/label/cuda-{version}.0 cuda-toolkit"
    package = f"cuda-toolkit-{version.replace('.', '-')}"
    return f"sudo apt-get install {package}  # from NVIDIA's package repository"


def install_gcc(hit: Hit, major: int | str) -> str:
    """The line that installs gcc and g++ of one major version."""
    if hit.context.conda:
        return f"conda install -c conda-forge gcc_linux-64={major} gxx_linux-64={major}"
    return f"sudo apt-get install gcc-{major} g++-{major}"


def use_gcc(hit: Hit, major: int | str) -> tuple[str, ...]:
    """The lines that make setuptools, nvcc and CMake take that gcc."""
    if hit.context.conda:
        return (
            'export CC="$CONDA_PREFIX/bin/x86_64-conda-linux-gnu-gcc"',
            'export CXX="$CONDA_PREFIX/bin/x86_64-conda-linux-gnu-g++"',
            'export NVCC_PREPEND_FLAGS="-ccbin $CXX"',
        )
    if hit.facts is not None:
        for compiler in hit.facts.compilers:
            if compiler.kind == "gcc" and compiler.version.split(".")[0] == str(major):
                return (
                    export(hit, "CXX", str(compiler.path)),
                    export(hit, "NVCC_PREPEND_FLAGS", f"-ccbin {compiler.path}"),
                )
    return (
        f"export CC=/usr/bin/gcc-{major} CXX=/usr/bin/g++-{major} CUDAHOSTCXX=/usr/bin/g++-{major}",
        f'export NVCC_PREPEND_FLAGS="-ccbin /usr/bin/g++-{major}"',
    )


def pip_torch(cuda: str, torch: str | None = None) -> str:
    """The line that installs torch built for a CUDA version such as "12.8"."""
    package = f"torch=={torch}" if torch else "torch"
    tag = "cu" + cuda.replace(".", "")
    return (
        f"pip install --upgrade --force-reinstall {package} "
        f"--index-url https://download.pytorch.org/whl/{tag}"
    )


def module_of(path: str) -> str:
    """The name of the Python package that a library under site-packages belongs to."""
    found = re.search(r"site-packages[/\\]([A-Za-z]\w*)(?:[/\\]|-|\.)", path)
    return found.group(1) if found else ""


def rebuild(hit: Hit) -> tuple[str, ...]:
    """The lines that build what the library on the line belongs to anew."""
    name = module_of(hit["library"]) or module_of(hit.log.text(hit.line))
    if name and name not in ("torch", "nvidia", "numpy"):
        package = name.replace("_", "-")
        return (
            f"pip uninstall -y {package}",
            f"pip install --no-build-isolation --no-cache-dir --no-binary {package} {package}"
            "  # from its source: pip install --no-build-isolation .",
        )
    return REBUILD
