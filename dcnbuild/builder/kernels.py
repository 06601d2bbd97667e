"""The kernels of the route `nvrtc`: each compiled on its first launch, for the GPU at hand, and kept in the cache.

The library with the host half (csrc/common/nvrtc/driver.cpp) asks for a kernel by its name in C++, such as
"dcnbuild::cuda::gather_columns_kernel<float, float, 4>". One kernel is one entry of the cache that also holds libraries
built just in time: the same directories, locks and rules about who may have written them.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from dcnbuild._version import __version__
from dcnbuild.builder import cache, findings
from dcnbuild.builder.flavour import STABLE, flavour_of
from dcnbuild.builder.nvrtc import Compiled, Nvrtc, NvrtcError
from dcnbuild.builder.record import BuildRecord, LibraryRecord, file_digest
from dcnbuild.builder.sources import csrc_dir, library_file, source_hash
from dcnbuild.errors import FindingError
from dcnbuild.machine.facts import TorchInstall
from dcnbuild.machine.nvrtc import HEADERS, NvrtcInstall, find_nvrtc

#: What every kernel is compiled with, beside its architecture and directories. Without -default-device, functions that
#: host and device share would be the host's alone.
OPTIONS = ("--std=c++17", "-default-device")

_Request = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)
#: What libraries call: it lives as long as they do.
_serving: list[object] = []


def refusal(torch: TorchInstall, env: Mapping[str, str]) -> str | None:
    """Why this route cannot serve a torch, or None if it can."""
    if torch.hip:
        return f"torch {torch.version} is built for ROCm, and the kernels are CUDA's"
    try:
        flavour = flavour_of(torch)
    except FindingError as error:
        return error.finding.cause
    if flavour.name != STABLE.name:
        return f"this route needs {STABLE.requirement}, this is torch {torch.version}"
    found = find_nvrtc(torch, env)
    return found if isinstance(found, str) else None


def architecture(supported: tuple[int, ...], capability: int) -> str:
    """What to compile for: "sm_90" for 9.0; "compute_90", PTX, for a GPU newer than NVRTC knows.

    Args:
        supported: the capabilities that NVRTC knows, ascending.
        capability: the GPU's, 90 for 9.0.

    Raises FindingError for a GPU that is older than all of them.
    """
    older = [known for known in supported if known <= capability]
    if not older:
        raise FindingError(findings.gpu_too_old(capability, supported[0]))
    same = older[-1] // 10 == capability // 10
    return f"{'sm' if same else 'compute'}_{older[-1]}"


class KernelCompiler:
    """Compiles kernels from csrc/, or takes them from the cache.

    Attributes:
        nvrtc: what compiles.
        options: all that it is told, but the architecture.
    """

    def __init__(self, install: NvrtcInstall, csrc: Path, env: Mapping[str, str]) -> None:
        """Loads NVRTC. Raises OSError if that is not possible."""
        self.nvrtc = Nvrtc(install)
        self._csrc = csrc
        self._env = env
        includes = (csrc, csrc / "common" / "nvrtc" / "std", install.include)
        self.options = (*OPTIONS, *(f"-I{directory}" for directory in includes))
        self._identity = [
            self.nvrtc.version,
            install.library.stat().st_size,
            *(file_digest(path) for name in HEADERS for path in _header_files(install, name)),
        ]

    def kernel(self, expression: str, capability: int) -> Compiled:
        """The kernel of this name for a GPU of this capability, 90 for 9.0.

        Raises FindingError with NVRTC's log if it cannot be compiled.
        """
        target = architecture(self.nvrtc.supported, capability)
        key = self.key(expression, target)
        for root in cache.cache_directories(self._env):
            entry = cache.find_entry(root, key, "kernel")
            if isinstance(entry, cache.Entry):
                return _read(entry)

        def write(directory: Path) -> None:
            self._write(directory, self._compile(expression, target), target)

        with contextlib.suppress(OSError):
            for root in cache.writable_caches(self._env):
                with contextlib.suppress(OSError):
                    return _read(cache.build_entry(root, key, "kernel", write))
        return self._compile(expression, target)  # for this process alone

    def key(self, expression: str, target: str) -> str:
        """The name of a kernel's entry: a hash of everything that decides what is compiled."""
        contents = [source_hash(self._csrc, "nvrtc"), expression, target, OPTIONS, self._identity]
        digest = hashlib.blake2b(json.dumps(contents).encode(), digest_size=12)
        return f"kernel-{digest.hexdigest()}"

    def _compile(self, expression: str, target: str) -> Compiled:
        options = (f"--gpu-architecture={target}", *self.options)
        try:
            return self.nvrtc.compile(source(self._csrc), [expression], options)
        except NvrtcError as error:
            what = f"{expression} for {target}"
            raise FindingError(findings.kernel_failed(what, self.nvrtc.version, str(error))) from error

    def _write(self, directory: Path, compiled: Compiled, target: str) -> None:
        path = directory / library_file("kernel")
        path.write_bytes(compiled.image)
        record = LibraryRecord(
            source_hash=source_hash(self._csrc, "nvrtc"),
            size=len(compiled.image),
            digest=file_digest(path),
            architectures=(target,),
            commands=compiled.names,
            toolkit=f"NVRTC {self.nvrtc.version}",
        )
        BuildRecord(
            dcnbuild=__version__,
            flavour=STABLE.name,
            torch="any",
            torch_cuda=None,
            compiler=f"NVRTC {self.nvrtc.version}",
            libraries={"kernel": record},
        ).write(directory)


def _header_files(install: NvrtcInstall, name: str) -> list[Path]:
    """A header and the one with its bodies."""
    paths = (install.include / name, (install.include / name).with_suffix(".hpp"))
    return [path for path in paths if path.is_file()]


def _read(entry: cache.Entry) -> Compiled:
    return Compiled(entry.record.commands, entry.path.read_bytes())


@functools.cache
def source(csrc: Path) -> str:
    """What NVRTC compiles: every operator's kernels, of which the wanted instance is taken."""
    headers = sorted(csrc.glob("*/cuda/*.cuh"))
    names = [path.relative_to(csrc).as_posix() for path in headers]
    return "".join(f'#include "{name}"\n' for name in names)


def serve(library: Path, compile_kernel: Callable[[str, int], Compiled]) -> None:
    """Lets a loaded library ask for kernels: `compile_kernel` is called with a name and a capability, from any
    thread.
    """
    host = ctypes.CDLL(str(library))
    deliver = host.dcnbuild_deliver
    deliver.argtypes = (*(ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p),)
    deliver.restype = None

    def answer(request: int, expression: bytes, capability: int) -> None:
        try:
            found = compile_kernel(expression.decode(), capability)
        except BaseException as error:  # it must not be lost: the caller is C++
            deliver(request, b"", b"", 0, f"{type(error).__name__}: {error}".encode())
        else:
            deliver(request, found.names[0].encode(), found.image, len(found.image), b"")

    callback = _Request(answer)
    host.dcnbuild_set_compiler(callback)
    _serving.append(callback)


def serve_torch(library: Path, torch: TorchInstall, env: Mapping[str, str]) -> None:
    """Lets a loaded library ask for kernels of torch's NVRTC, which is loaded for the first of them."""

    @functools.cache
    def compiler() -> KernelCompiler:
        found = find_nvrtc(torch, env)
        if isinstance(found, str):
            raise FindingError(findings.no_nvrtc(found))
        return KernelCompiler(found, csrc_dir(), env)

    serve(library, lambda expression, capability: compiler().kernel(expression, capability))
