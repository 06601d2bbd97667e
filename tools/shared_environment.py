"""Makes the environment that nox's sessions share, and runs pytest and scripts in it."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import sysconfig
from pathlib import Path
from typing import Any

import nox

from tools.build_matrix import sessions as matrix
from tools.build_matrix.row_tests import THREADS, WORKERS

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT / ".nox" / "shared"
PYTHON = SHARED / "bin" / "python"
#: All tests of a file run in one worker, since its fixtures compile.
PARALLEL = (*WORKERS, "--dist", "loadfile", "--durations", "150", "--durations-min", "1.5")
# In every session, Python compiles the modules that it imports. pip would compile all modules of every package, which
# takes it most of its time.
os.environ["PIP_COMPILE"] = "0"


def environment(session: nox.Session) -> None:
    """Makes the shared environment and installs torch into it."""
    if not PYTHON.exists():
        session.run(sys.executable, "-m", "venv", str(SHARED), silent=True)
    if _has_torch(sys.prefix):
        # Python reads this line at start-up, and can then import the packages installed there
        site = SHARED / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
        (site / "torch_of_nox.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    elif not _has_torch(str(SHARED)):
        pip(session, *os.environ.get("DCNBUILD_NOX_TORCH", _torch_of_matrix()).split())


def _has_torch(prefix: str) -> bool:
    return _torch_version(prefix).is_file()


def _torch_version(prefix: str) -> Path:
    """Returns the file that states the version of torch in an environment that has one."""
    return Path(prefix) / f"lib/python3.{sys.version_info.minor}/site-packages/torch/version.py"


def _torch_of_matrix() -> str:
    """Returns the torch of matrix.yaml's first pair."""
    first = matrix.PAIRS[0]
    return f"torch=={first.torch} torchvision=={first.torchvision}"


def pip(session: nox.Session, *arguments: str, env: dict[str, str] | None = None) -> None:
    """Installs into the shared environment."""
    session.run(str(PYTHON), "-m", "pip", "install", "--quiet", *arguments, env=env, external=True)


_installed: list[Path] = []


#: What was installed last: the digest of its sources and of the variables that a build reads.
STAMP = SHARED / "installed.txt"
#: Variables of compilers, which a build reads beside those that begin with DCNBUILD_, TORCH_ and CUDA.
_BUILD = ("CXX", "CC", "CXXFLAGS", "CFLAGS", "NVCC_CCBIN", "NVCC_APPEND_FLAGS", "NVCC_PREPEND_FLAGS", "PATH")


def install(session: nox.Session) -> Path:
    """Installs the package like a user, unless the same sources are installed; returns its directory."""
    if not _installed:
        environment(session)
        wanted = _digest()
        there = any(SHARED.glob("lib/python3.*/site-packages/dcnbuild-*.dist-info"))
        if not (there and STAMP.is_file() and STAMP.read_text() == wanted):
            STAMP.unlink(missing_ok=True)
            pip(session, ".[examples,test]", env=_architectures())
            STAMP.write_text(wanted)
        package = session.run(
            str(PYTHON),
            *("-I", "-c", "import dcnbuild; print(dcnbuild.__path__[0])"),
            silent=True,
            external=True,
        )
        _installed.append(Path(str(package).strip()))
    return _installed[0]


def _architectures() -> dict[str, str]:
    """Returns the variable that limits the CUDA kernels to this machine's GPUs; where it has none, to one architecture.

    `nox -s build_matrix` compiles them for all.
    """
    if os.environ.get("TORCH_CUDA_ARCH_LIST"):
        return {}
    there = any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/dxg"))
    return {"TORCH_CUDA_ARCH_LIST": "native" if there else "9.0+PTX"}


def _digest() -> str:
    """Returns a digest of all that decides what an installation is: sources, variables, torch."""
    digest = hashlib.sha256()
    files = [ROOT / "pyproject.toml", *(p for d in ("csrc", "dcnbuild") for p in (ROOT / d).rglob("*.*"))]
    left_out = {"lib", "__pycache__"}
    for path in sorted(files):
        if path.is_file() and not left_out.intersection(path.relative_to(ROOT).parts):
            digest.update(f"{path.relative_to(ROOT)} {path.stat().st_size} ".encode() + path.read_bytes())
    names = sorted(name for name in os.environ if name.startswith(("DCNBUILD_", "TORCH_", "CUDA")) or name in _BUILD)
    digest.update(repr([*_architectures().items(), *((name, os.environ[name]) for name in names)]).encode())
    for prefix in (sys.prefix, str(SHARED)):
        version = _torch_version(prefix)
        digest.update(version.read_bytes() if version.is_file() else b"-")
    return digest.hexdigest()


def pytest(session: nox.Session, scratch: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
    """Runs pytest without the checkout on sys.path, and without the caller's variables that choose the route."""
    paths = [str(ROOT / text) if (ROOT / text).exists() else text for text in arguments]
    clean = {"PYTHONPATH": "", "DCNBUILD_ROUTE": "", "DCNBUILD_CACHE": str(scratch / "cache")}
    clean |= THREADS if "-n" in arguments else {}
    _lend_toolkits(scratch / "cache")
    with session.chdir(scratch):
        session.run(
            *(str(PYTHON), "-m", "pytest", f"--rootdir={ROOT}", f"-c{ROOT / 'pyproject.toml'}"),
            *("-p", "no:cacheprovider", *paths),
            env={**clean, **(env or {})},
            external=True,
        )


def _lend_toolkits(cache: Path) -> None:
    """Links the user's CUDA toolkits into the tests' own cache."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dcnbuild"
    toolkits = Path(os.environ.get("DCNBUILD_CACHE") or home) / "toolkits"
    cache.mkdir(exist_ok=True)
    if toolkits.is_dir() and not (cache / "toolkits").exists():
        (cache / "toolkits").symlink_to(toolkits.absolute())


def run_script(session: nox.Session, path: str, *arguments: str, **options: Any) -> str:
    """Runs a script of the repository without the checkout on sys.path; the script may import from tests/."""
    command = (str(PYTHON), str(ROOT / path), *arguments)
    with session.chdir(session.create_tmp()):
        output = session.run(*command, env={"PYTHONPATH": str(ROOT / "tests")}, external=True, **options)
    return str(output)


def lesser_cpu() -> dict[str, str]:
    """Returns variables that limit dcnbuild, torch and oneDNN to an older instruction set.

    On a CPU with AVX-512 they use AVX2; on any other CPU, no vectors of 256 bits. So one machine tests two instruction
    sets.
    """
    cpu = Path("/proc/cpuinfo")
    if cpu.is_file() and re.search(r"^flags\s*:.*\bavx512bw\b", cpu.read_text(), re.MULTILINE):
        levels = ("avx2", "avx2", "AVX2")
    else:
        levels = ("generic", "default", "SSE41")
    names = ("DCNBUILD_CPU_ISA", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")
    return dict(zip(names, levels))
