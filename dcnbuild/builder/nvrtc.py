"""NVRTC through ctypes: CUDA C++ in, machine code of one GPU architecture out. Needs no GPU and no driver."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dcnbuild.machine.nvrtc import NvrtcInstall


class NvrtcError(Exception):
    """NVRTC refuses; the text is its log, or the name of its error."""


@dataclass(frozen=True)
class Compiled:
    """Kernels: `names` are those that the driver finds them by in `image`, a cubin or PTX."""

    names: tuple[str, ...]
    image: bytes


class Nvrtc:
    """A loaded NVRTC.

    Attributes:
        version: "13.0".
        supported: the compute capabilities it knows, 90 for 9.0, ascending.
    """

    def __init__(self, install: NvrtcInstall) -> None:
        """Loads it. Raises OSError if that is not possible."""
        for path in install.builtins:  # or it looks for them on the loader's path alone
            ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
        self._library = ctypes.CDLL(str(install.library))
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
        major, minor, count = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        self._call("Version", ctypes.byref(major), ctypes.byref(minor))
        self.version = f"{major.value}.{minor.value}"
        self._call("GetNumSupportedArchs", ctypes.byref(count))
        known = (ctypes.c_int * count.value)()
        self._call("GetSupportedArchs", known)
        self.supported = tuple(sorted(known))

    def compile(self, source: str, expressions: Sequence[str], options: Iterable[str]) -> Compiled:
        """Compiles kernels: instances of templates, each named as C++ writes it.

        `options` holds --gpu-architecture; for "compute_90" the image is PTX. Raises NvrtcError with the compiler's
        log.
        """
        program = ctypes.c_void_p()
        self._call(
            *("CreateProgram", ctypes.byref(program), source.encode(), b"dcnbuild.cu"),
            *(0, None, None),
        )
        try:
            for expression in expressions:
                self._call("AddNameExpression", program, expression.encode())
            words = [word.encode() for word in options]
            array = (ctypes.c_char_p * len(words))(*words)
            error = self._library.nvrtcCompileProgram(program, len(words), array)
            if error:
                log = self._bytes(program, "ProgramLog").decode(errors="replace")
                raise NvrtcError(log.strip("\0 \n") or self._text(error))
            names = tuple(self._lowered(program, expression) for expression in expressions)
            ptx = any("=compute_" in word.decode() for word in words)
            return Compiled(names, self._bytes(program, "PTX" if ptx else "CUBIN"))
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def _lowered(self, program: ctypes.c_void_p, expression: str) -> str:
        name = ctypes.c_char_p()
        self._call("GetLoweredName", program, expression.encode(), ctypes.byref(name))
        return (name.value or b"").decode()

    def _bytes(self, program: ctypes.c_void_p, what: str) -> bytes:
        size = ctypes.c_size_t()
        self._call(f"Get{what}Size", program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(max(size.value, 1))
        self._call(f"Get{what}", program, buffer)
        return buffer.raw[: size.value]

    def _text(self, error: int) -> str:
        text: bytes = self._library.nvrtcGetErrorString(error)
        return text.decode()

    def _call(self, name: str, *arguments: object) -> None:
        error = getattr(self._library, f"nvrtc{name}")(*arguments)
        if error:
            raise NvrtcError(f"nvrtc{name}: {self._text(error)}")
