"""Answers which toolkits, compilers, GPU architectures, drivers, torch releases and Pythons work together.

This is the only reader of compatibility.yaml; the doctor, the build and the build matrix use it. If the table has no
answer, a function returns None, and its caller then makes no claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dcnbuild.base import plain_yaml
from dcnbuild.base.versions import numbers
from dcnbuild.machine.architectures import capability, sorted_names

TABLE = Path(__file__).with_name("compatibility.yaml")


class CompatibilityError(ValueError):
    """compatibility.yaml has a wrong row; the text names the row and the field."""


@dataclass(frozen=True)
class CudaRelease:
    """One CUDA toolkit release. The fields are described at the head of compatibility.yaml."""

    version: str
    gcc: int
    architectures: tuple[int, ...]
    driver: str
    minimum_driver: str
    source: str
    clang: int | None = None


@dataclass(frozen=True)
class TorchRelease:
    """One minor release of torch. The fields are described at the head of compatibility.yaml."""

    release: str
    versions: tuple[str, ...]
    python: tuple[str, str]
    cxx: int
    cxx11_abi: bool
    default: str
    variants: Mapping[str, tuple[str, ...]]
    source: str
    setuptools: str | None = None
    numpy: str | None = None
    abi_exceptions: Mapping[str, bool] | None = None

    @property
    def newest(self) -> str:
        """Returns the newest version of this release, e.g. "2.14.1"."""
        return self.versions[-1]

    def supports_python(self, python: str) -> bool:
        """Whether wheels exist for this CPython, e.g. "3.11"."""
        low, high = self.python
        return numbers(low) <= numbers(python)[:2] <= numbers(high)

    def abi(self, cuda: str | None) -> bool:
        """Returns the C++ ABI of the wheel for this CUDA (None: the CPU wheel)."""
        return (self.abi_exceptions or {}).get(cuda or "", self.cxx11_abi)


@dataclass(frozen=True)
class Compatibility:
    """The whole table, oldest releases first."""

    cuda: tuple[CudaRelease, ...]
    torch: tuple[TorchRelease, ...]


@cache
def table() -> Compatibility:
    """Returns the table of this installation, which is read once."""
    return load(TABLE)


def load(path: Path) -> Compatibility:
    """Reads and checks a table. Raises CompatibilityError that names the wrong row and the fault."""
    try:
        document = plain_yaml.load(path)
    except plain_yaml.PlainYamlError as error:
        raise CompatibilityError(str(error)) from error
    if not isinstance(document, dict) or set(document) != {"cuda", "torch"}:
        raise CompatibilityError(f"{path}: expected the two lists 'cuda' and 'torch'")
    try:
        result = Compatibility(
            tuple(_row(CudaRelease, row, "version") for row in document["cuda"]),
            tuple(_row(TorchRelease, row, "release") for row in document["torch"]),
        )
        _check(result)
    except (
        TypeError,
        AttributeError,
    ) as error:  # for example a list instead of a text, deep in a row
        raise CompatibilityError(f"{path}: a value of the wrong kind: {error}") from error
    return result


_PLAIN = {"str": str, "int": int, "bool": bool, "str | None": str, "int | None": int}


def _row(kind: type[Any], row: Any, name: str) -> Any:
    fields = kind.__dataclass_fields__
    if not isinstance(row, dict) or not set(row) <= set(fields):
        raise CompatibilityError(f"{row!r}: expected only the fields {', '.join(fields)}")
    where = f"{kind.__name__} {row.get(name)}"
    missing = [key for key, field in fields.items() if field.default is MISSING and key not in row]
    if missing:
        raise CompatibilityError(f"{where}: without {', '.join(missing)}")
    for field, value in row.items():
        plain = _PLAIN.get(fields[field].type)
        if plain is not None and type(value) is not plain:
            raise CompatibilityError(f"{where}: {field} is {value!r}, expected a {plain.__name__}")
    return kind(**{field: _frozen(value) for field, value in row.items()})


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value


def _check(result: Compatibility) -> None:
    cuda_versions = [row.version for row in result.cuda]
    for versions in (cuda_versions, [row.release for row in result.torch]):
        if versions != sorted(set(versions), key=numbers):
            raise CompatibilityError(f"not in ascending order, or twice: {versions}")
    for cuda in result.cuda:
        if not all(type(number) is int for number in cuda.architectures):
            raise CompatibilityError(f"CUDA {cuda.version}: architectures must be numbers")
        if numbers(cuda.minimum_driver) > numbers(cuda.driver) or not numbers(cuda.minimum_driver):
            raise CompatibilityError(f"CUDA {cuda.version}: minimum_driver is newer than driver")
    for torch in result.torch:
        where = f"torch {torch.release}"
        if not all(numbers(version)[:2] == numbers(torch.release) for version in torch.versions):
            raise CompatibilityError(f"{where}: versions of another release: {torch.versions}")
        if len(torch.python) != 2 or numbers(torch.python[0]) > numbers(torch.python[1]):
            raise CompatibilityError(f"{where}: python must be [oldest, newest]")
        unknown = {torch.default, *torch.variants} - set(cuda_versions)
        if unknown or torch.default not in torch.variants:
            raise CompatibilityError(f"{where}: CUDA {unknown or torch.default} has no row")
        for names in torch.variants.values():
            try:
                sorted_names(names)
            except (ValueError, TypeError) as error:
                raise CompatibilityError(f"{where}: {error}") from error


def cuda_release(version: str) -> CudaRelease | None:
    """Returns the row of a toolkit, e.g. "12.4" or "12.4.131"; None if the table has none."""
    wanted = numbers(version)[:2]
    return next((row for row in table().cuda if numbers(row.version) == wanted), None)


def torch_release(version: str) -> TorchRelease | None:
    """Returns the row of a torch, e.g. "2.14.1+cu130"; None if the table has none."""
    wanted = numbers(version)[:2]
    return next((row for row in table().torch if numbers(row.release) == wanted), None)


def torch_exists(version: str) -> bool | None:
    """Whether this torch was ever published; None for a version older or newer than the table."""
    wanted = numbers(version)
    known = [numbers(item) for row in table().torch for item in row.versions]
    if not wanted or wanted < known[0][: len(wanted)] or wanted > known[-1]:
        return None
    return any(item[: len(wanted)] == wanted for item in known)


def newest_compiler(toolkit: str, kind: str) -> int | None:
    """Returns the newest major version of a host compiler ("gcc" or "clang") that this toolkit accepts."""
    row = cuda_release(toolkit)
    if row is None or kind not in ("gcc", "clang"):
        return None
    return row.gcc if kind == "gcc" else row.clang


def compiles_for(toolkit: str, name: str) -> bool | None:
    """Whether this toolkit's nvcc supports an architecture, e.g. "sm_90a"; None if unknown.

    The suffix `a` came with CUDA 12.0 for sm_90 and newer, `f` with 12.9 for sm_100 and newer
    (source: the CUDA features archive; both measured on 13.0).
    """
    row = cuda_release(toolkit)
    if row is None:
        return None
    major, minor = capability(name)
    number = major * 10 + minor
    if number not in row.architectures:
        return False
    if name.endswith("a"):
        return number >= 90 and numbers(row.version) >= (12, 0)
    if name.endswith("f"):
        return number >= 100 and numbers(row.version) >= (12, 9)
    return True


def common_architectures(torch_architectures: Iterable[str], toolkit: str) -> list[str]:
    """Returns the architectures to compile for, so that an extension runs on every GPU that this torch runs on.

    Args:
        torch_architectures: the architectures of torch's own kernels. If they are unknown (empty), the first
            architecture of each major version that the toolkit supports replaces them.
        toolkit: the version of the toolkit that compiles.

    Returns:
        nvcc's names in ascending order. PTX of the newest is last, so that GPUs newer than torch can translate it. []
        if the toolkit supports none of them, or is not in the table.
    """
    wanted = [name.replace("compute", "sm") for name in torch_architectures]
    row = cuda_release(toolkit)
    if row is None:
        return []
    if not wanted:
        wanted = [f"sm_{number}" for number in row.architectures if number % 10 == 0 or number == 75]
    # a and f code is for single kernels that need it; its PTX would run on no other GPU
    names = [name for name in sorted_names(wanted) if name[-1].isdigit() and compiles_for(toolkit, name)]
    return [*names, names[-1].replace("sm", "compute")] if names else []


def minimum_driver(cuda: str) -> str | None:
    """Returns the oldest Linux driver that can run programs built with this CUDA."""
    row = cuda_release(cuda)
    return row.minimum_driver if row else None


def driver_runs(driver: str, cuda: str) -> bool | None:
    """Whether a driver (e.g. "535.104.05") runs programs built with this CUDA; None if unknown.

    A branch alone, "525", is the newest release of it.
    """
    minimum = minimum_driver(cuda)
    if minimum is None or not numbers(driver):
        return None
    known, least = numbers(driver), numbers(minimum)
    return known >= (least[:1] if len(known) == 1 else least)


def cuda_of_driver(driver: str) -> str | None:
    """Returns the newest CUDA of the table that a driver supports natively: "535.104.05" → "12.2".

    nvidia-smi shows this number as "CUDA Version". Only the branch counts, the driver's first number. Returns None for
    a driver older than the table, or a text that is not a driver version.
    """
    branch = numbers(driver)[:1]
    known = [row for row in table().cuda if numbers(row.driver)[:1] <= branch]
    return known[-1].version if known and branch else None


def cxx_standard(torch: str) -> int | None:
    """Returns the C++ standard that this torch's headers need, e.g. 17."""
    row = torch_release(torch)
    return row.cxx if row else None


def companion_release(package: str, torch: str) -> str | None:
    """The release of torchvision or torchaudio for a torch: "2.5.1" → "0.20" and "2.5"; None if not known.

    Source: the tables in the README of pytorch/vision (0.8 for torch 1.7, 0.15 for 2.0, one more for each release) and
    pytorch/audio (0.7 for torch 1.7, torch's own number from 2.0 to 2.8; later ones are not bound to one torch).
    """
    release = numbers(torch)[:2]
    if len(release) != 2 or release < (1, 7) or release >= (3, 0):
        return None
    old = release < (2, 0)
    if package == "torchvision":
        return f"0.{release[1] + (1 if old else 15)}"
    if old:
        return f"0.{release[1]}"
    return f"2.{release[1]}" if release <= (2, 8) else None


def companions(torch: str | None) -> list[str]:
    """The requirements of torchvision and torchaudio beside a torch, or beside the newest."""
    releases = {name: torch and companion_release(name, torch) for name in ("torchvision", "torchaudio")}
    return [f"{name}=={release}.*" if release else name for name, release in releases.items()]
