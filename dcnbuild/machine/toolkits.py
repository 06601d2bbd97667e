"""Every CUDA toolkit on the machine, best first, and the CUDA_HOME that torch would guess."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from dcnbuild.machine import files, trust
from dcnbuild.machine.cache import cache_home
from dcnbuild.machine.facts import CudaHome, PackageHeaders, Toolkit
from dcnbuild.machine.near import meant_directory
from dcnbuild.machine.site import site_packages

#: What the CUDA headers of torch include and what linking wants. ATen/cuda/CUDAContextLight.h
#: includes cuBLAS, cuSPARSE and cuSOLVER (read in torch 2.14.1); nvcc itself needs the rest (seen
#: by leaving each one away).
WANTED_HEADERS = (
    "cuda_runtime.h",
    "crt/host_config.h",
    "thrust/complex.h",
    "cublas_v2.h",
    "cusparse.h",
    "cusolverDn.h",
)
WANTED_LIBRARIES = ("libcudart.so", "libcudart_static.a", "libcudadevrt.a")
WANTED_TOOLS = ("cicc", "ptxas")

#: Of a script that a person wrote; the line of data behind a self-extracting one costs more than it can tell.
_LONGEST_LINE = 2048
_SCRIPT_TARGET = re.compile(r"""[^\s"'=]*/nvcc(?:\.bin|\.real)?(?=["'\s]|$)""")


def find_toolkits(
    env: Mapping[str, str], prefix: Path | None = None, root: Path = Path("/")
) -> list[Toolkit]:
    """Every toolkit, in the order in which a build should prefer them.

    The order: CUDA_HOME, CUDA_PATH, PATH, the Python environment's own packages, conda,
    /usr/local/cuda, /usr/local/cuda-* (newest first), Debian's split layout, dcnbuild's own toolkit
    cache. A toolkit that is met twice appears once, with all its `found_by`.

    Args:
        env: the environment variables.
        prefix: the Python environment whose packages count; by default this interpreter's.
        root: where the file system starts (another directory in tests).
    """
    found: dict[Path, Toolkit] = {}
    for label, nvcc in candidates(env, prefix, root):
        real = real_nvcc(nvcc, env)
        if real is None:
            continue
        if real in found:
            known = found[real]
            if label not in known.found_by:
                found[real] = replace(known, found_by=(*known.found_by, label))
            continue
        toolkit = read_toolkit(real, env)
        if toolkit is not None:
            found[real] = replace(toolkit, found_by=(label,))
    return list(found.values())


def candidates(
    env: Mapping[str, str], prefix: Path | None = None, root: Path = Path("/")
) -> Iterator[tuple[str, Path]]:
    """Every place of an nvcc that `find_toolkits` looks at, best first; no program is run.

    A place that nobody named is left out where another user could have put something: see `distrusted`.
    """
    for label, nvcc in _named(env, prefix):
        yield label, nvcc
    for label, nvcc in _unnamed(env, root):
        if files.is_file(nvcc) and _why_distrusted(nvcc, env) is None:
            yield label, nvcc


def distrusted(env: Mapping[str, str], root: Path = Path("/")) -> list[tuple[Path, str]]:
    """The toolkits that are passed over, and why: another user could have put something there.

    Each is (its directory, the reason). CUDA_HOME takes one all the same: then it is the user's choice.
    """
    reasons = (
        (nvcc.parent.parent, _why_distrusted(nvcc, env))
        for _, nvcc in _unnamed(env, root)
        if files.is_file(nvcc)
    )
    return [(directory, reason) for directory, reason in reasons if reason]


def _why_distrusted(nvcc: Path, env: Mapping[str, str]) -> str | None:
    """Why another user could decide what runs when this nvcc is called, or None."""
    cache = toolkit_cache(env)
    toolkit = nvcc.parent.parent
    called = [
        nvcc,
        *(toolkit / name for name in ("include", "lib", "lib64") if files.is_dir(toolkit / name)),
        *files.children(nvcc.parent),
        *files.children(toolkit / "nvvm/bin"),
    ]
    reasons = (trust.untrusted(path, ours=cache) for path in called)
    return next(filter(None, reasons), None)


def _named(env: Mapping[str, str], prefix: Path | None) -> Iterator[tuple[str, Path]]:
    """Where the variables and the Python environment point: that is the user's choice."""
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if env.get(variable):
            yield variable, Path(env[variable], "bin/nvcc")
    for nvcc in files.on_path(env, "nvcc"):
        yield f"PATH: {nvcc}", nvcc
    for directory in site_packages(prefix, env):
        for package in [
            *_newest_first(directory / "nvidia", "cu[0-9]*"),
            directory / "nvidia/cuda_nvcc",
        ]:
            yield f"pip: {package}", package / "bin/nvcc"
    if env.get("CONDA_PREFIX"):
        yield "conda", Path(env["CONDA_PREFIX"], "bin/nvcc")


def _unnamed(env: Mapping[str, str], root: Path) -> Iterator[tuple[str, Path]]:
    """Where toolkits usually are."""
    for directory in [
        root / "usr/local/cuda",
        *_newest_first(root / "usr/local", "cuda-*"),
        root / "opt/cuda",
        root / "usr/lib/nvidia-cuda-toolkit",
    ]:
        yield str(directory), directory / "bin/nvcc"
    cache = toolkit_cache(env)
    for directory in _newest_first(cache, "*") if cache else []:
        yield f"cache: {directory}", directory / "bin/nvcc"


def toolkit_cache(env: Mapping[str, str]) -> Path | None:
    """Where dcnbuild keeps toolkits that it laid out itself; None without a home directory."""
    home = cache_home(env)
    return home / "toolkits" if home else None


def _newest_first(directory: Path, pattern: str) -> list[Path]:
    def numbers(path: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\d{1,9}", path.name)]

    return sorted(files.children(directory, pattern), key=numbers, reverse=True)


def torch_cuda_home(env: Mapping[str, str], root: Path = Path("/")) -> CudaHome | None:
    """The CUDA_HOME that `torch.utils.cpp_extension` settles on; None if it finds none.

    It believes CUDA_HOME, then CUDA_PATH, without a look inside; then it goes two directories up
    from the first nvcc on PATH, following neither symlinks nor scripts; then it tries
    /usr/local/cuda. Source: `_find_cuda_home` in torch 2.14.1.
    """
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if env.get(variable):
            return _cuda_home(Path(env[variable]), variable)
    nvcc = next(files.on_path(env, "nvcc"), None)
    if nvcc is not None:
        return _cuda_home(nvcc.parent.parent, f"PATH: {nvcc}")
    default = root / "usr/local/cuda"
    return _cuda_home(default, str(default)) if files.is_dir(default) else None


def _cuda_home(path: Path, taken_from: str) -> CudaHome:
    exists = files.is_dir(path)
    headers = [path / "include", *files.children(path, "targets/*/include")]
    return CudaHome(
        path=path,
        taken_from=taken_from,
        exists=exists,
        has_nvcc=files.is_file(path / "bin/nvcc"),
        has_headers=_somewhere(headers, "cuda_runtime.h"),
        meant=None if exists else meant_directory(str(path)),
    )


def find_package_headers(
    env: Mapping[str, str], prefix: Path | None = None
) -> list[PackageHeaders]:
    """The directories of CUDA headers that the environment's packages brought, torch's needs too.

    CUDA 13's packages share nvidia/cu13/include; those of CUDA 11 and 12 have one directory each,
    and only cuda_runtime's tells the version.
    """
    found = []
    for site in site_packages(prefix, env):
        runtime = headers_version([site / "nvidia/cuda_runtime/include"])
        for directory in files.children(site, "nvidia/*/include"):
            held = held_headers(directory)
            if held:
                version = headers_version([directory]) or runtime
                found.append(PackageHeaders(directory, held, version))
    return found


def held_headers(directory: Path) -> tuple[str, ...]:
    """Those of `WANTED_HEADERS` that are in a directory."""
    return tuple(name for name in WANTED_HEADERS if files.is_file(directory / name))


def real_nvcc(path: Path, env: Mapping[str, str]) -> Path | None:
    """The nvcc binary behind a path: symlinks and scripts that call another nvcc are followed.

    None where there is no such file, or where the chain ends in something else (a compiler cache,
    say) or in nothing. A script that calls an nvcc in a way that is not understood counts as one.
    """
    for _ in range(8):  # a chain that is longer is a loop
        path = files.resolve(path)
        if not files.is_file(path) or not path.name.startswith("nvcc"):
            return None
        text = files.read_text(path, 1 << 16)
        if text is None or not text.startswith("#!"):
            return path
        targets = [target for target in _script_targets(text, path, env) if target != path]
        if not targets:
            return path
        path = next(filter(files.is_file, targets), targets[0])
    return None


def _script_targets(script: str, path: Path, env: Mapping[str, str]) -> Iterator[Path]:
    """The absolute paths of an nvcc in a script, last line first: it ends in calling it."""
    for line in reversed(script.splitlines()):
        if line.lstrip().startswith("#") or len(line) > _LONGEST_LINE:
            continue
        line = re.sub(r"\$\(dirname[^)]*\)+|`dirname[^`]*`|\$\{0%/\*\}", str(path.parent), line)
        for match in _SCRIPT_TARGET.finditer(line):
            text = re.sub(
                r"\$\{?(\w+)\}?", lambda variable: env.get(variable[1], variable[0]), match[0]
            )
            if text.startswith(os.sep):
                yield files.resolve(Path(text))


def read_toolkit(nvcc: Path, env: Mapping[str, str]) -> Toolkit | None:
    """The toolkit around a real nvcc; None if neither its files nor nvcc tell a version."""
    root = nvcc.parent.parent
    include = [root / "include", *files.children(root, "targets/*/include")]
    libraries = [root / "lib64", root / "lib", *files.children(root, "targets/*/lib")]
    tools = [nvcc.parent, root / "nvvm/bin"]
    if root.name == "nvidia-cuda-toolkit":  # Debian: tools here, the rest where the system has it
        root = root.parent.parent
        include = [root / "include"]
        libraries = [root / "lib/x86_64-linux-gnu", root / "lib/aarch64-linux-gnu", root / "lib"]
        tools.append(root / "bin")
    include = [path for path in files.existing(include) if files.is_file(path / "cuda_runtime.h")]
    libraries = [path for path in files.existing(libraries) if files.children(path, "libcudart*")]
    in_headers = headers_version(include)
    # nvcc before the headers: pip and conda can put headers of one release beside the nvcc of
    # another
    version = _version_file(nvcc.parent.parent) or _asked_version(nvcc, env) or in_headers
    if version is None:
        return None
    places = [*include, *(path / "cccl" for path in include)]  # CUDA 13 moved thrust and cub
    missing = [
        *(name for name in WANTED_HEADERS if not _somewhere(places, name)),
        *(name for name in WANTED_LIBRARIES if not _somewhere(libraries, name)),
        *(name for name in WANTED_TOOLS if not _somewhere(tools, name)),
    ]
    return Toolkit(
        root=root,
        nvcc=nvcc,
        version=version,
        include=tuple(include),
        libraries=tuple(libraries),
        missing=tuple(missing),
        headers_version=in_headers,
    )


def _somewhere(directories: list[Path], name: str) -> bool:
    return any(files.is_file(directory / name) for directory in directories)


def _version_file(root: Path) -> str | None:
    text = files.read_text(root / "version.json")
    if text is not None:
        try:
            parts = json.loads(text)
            return _major_minor(parts.get("cuda_nvcc", parts["cuda"])["version"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
    return _major_minor(files.read_text(root / "version.txt") or "")  # up to CUDA 11.0


def headers_version(include: list[Path]) -> str | None:
    """The CUDA version that the headers in these directories state; None if there are none."""
    for directory in include:
        for name, macro in (("cuda.h", "CUDA_VERSION"), ("cuda_runtime_api.h", "CUDART_VERSION")):
            text = files.read_text(directory / name) or ""
            match = re.search(rf"^#define\s+{macro}\s+(\d{{4,6}})\b", text, re.MULTILINE)
            if match:
                number = int(match[1])
                return f"{number // 1000}.{number % 1000 // 10}"
    return None


def _asked_version(nvcc: Path, env: Mapping[str, str]) -> str | None:
    if trust.writable_by_others(nvcc):
        return None  # even if the user named it: looking is not running
    output = files.run([os.fspath(nvcc), "--version"], env) or ""
    match = re.search(r"release (\d+\.\d+)", output)
    return match[1] if match else None


def _major_minor(text: str) -> str | None:
    match = re.search(r"\b(\d{1,3}\.\d{1,3})(?:\.|\b)", text)
    return match[1] if match else None
