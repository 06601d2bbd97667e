"""What goes with what: toolkits, compilers, GPU architectures, drivers, torch releases, Pythons.

The only reader of compatibility.yaml; the doctor, the build and the build matrix ask here. A question to
which the table has no answer gets None, and whoever asks then says nothing.
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
    """compatibility.yaml does not hold what it must; the text names the row and the field."""


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
        """The newest version of this release, e.g. "2.14.1"."""
        return self.versions[-1]

    def supports_python(self, python: str) -> bool:
        """Whether wheels exist for this CPython, e.g. "3.11"."""
        low, high = self.python
        return numbers(low) <= numbers(python)[:2] <= numbers(high)

    def abi(self, cuda: str | None) -> bool:
        """The C++ ABI of the wheel for this CUDA (None: the CPU wheel)."""
        return (self.abi_exceptions or {}).get(cuda or "", self.cxx11_abi)


@dataclass(frozen=True)
class Compatibility:
    """The whole table, oldest releases first."""

    cuda: tuple[CudaRelease, ...]
    torch: tuple[TorchRelease, ...]


@cache
def table() -> Compatibility:
    """The table of this installation, read once."""
    return load(TABLE)


def load(path: Path) -> Compatibility:
    """Reads and checks a table. Raises CompatibilityError that says which row is wrong, and how."""
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
    except (TypeError, AttributeError) as error:  # a list where a text belongs, deep in a row
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
    """The row of a toolkit, e.g. "12.4" or "12.4.131"; None if the table has none."""
    wanted = numbers(version)[:2]
    return next((row for row in table().cuda if numbers(row.version) == wanted), None)


def torch_release(version: str) -> TorchRelease | None:
    """The row of a torch, e.g. "2.14.1+cu130"; None if the table has none."""
    wanted = numbers(version)[:2]
    return next((row for row in table().torch if numbers(row.release) == wanted), None)


def torch_exists(version: str) -> bool | None:
    """Whether this torch was ever published; None for one older or newer than the table covers."""
    wanted = numbers(version)
    known = [numbers(item) for row in table().torch for item in row.versions]
    if not wanted or wanted < known[0][: len(wanted)] or wanted > known[-1]:
        return None
    return any(item[: len(wanted)] == wanted for item in known)


def newest_compiler(toolkit: str, kind: str) -> int | None:
    """The newest major of a host compiler ("gcc" or "clang") that this toolkit accepts."""
    row = cuda_release(toolkit)
    if row is None or kind not in ("gcc", "clang"):
        return None
    return row.gcc if kind == "gcc" else row.clang


def compiles_for(toolkit: str, name: str) -> bool | None:
    """Whether this toolkit's nvcc knows an architecture, e.g. "sm_90a"; None if that is not known.

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
    """What to compile for, so that an extension runs wherever this torch does.

    Args:
        torch_architectures: what torch's own kernels were compiled for; if that is empty (not
        known), the
            majors' first architectures that the toolkit knows stand in for it.
        toolkit: the version of the toolkit that compiles.

    Returns:
        nvcc's names in ascending order, with PTX of the newest one at the end, so that newer GPUs
        than torch knows can translate it; [] if the toolkit knows none of them or is not in the
        table.
    """
    wanted = [name.replace("compute", "sm") for name in torch_architectures]
    row = cuda_release(toolkit)
    if row is None:
        return []
    if not wanted:
        wanted = [
            f"sm_{number}" for number in row.architectures if number % 10 == 0 or number == 75
        ]
    # a and f code is for single kernels that need it, PTX of it would run nowhere else
    names = [
        name for name in sorted_names(wanted) if name[-1].isdigit() and compiles_for(toolkit, name)
    ]
    return [*names, names[-1].replace("sm", "compute")] if names else []


def minimum_driver(cuda: str) -> str | None:
    """The oldest Linux driver that runs programs built with this CUDA at all."""
    row = cuda_release(cuda)
    return row.minimum_driver if row else None


def driver_runs(driver: str, cuda: str) -> bool | None:
    """Whether a driver (e.g. "535.104.05") runs programs built with this CUDA; None: not known."""
    minimum = minimum_driver(cuda)
    if minimum is None or not numbers(driver):
        return None
    return numbers(driver) >= numbers(minimum)


def cuda_of_driver(driver: str) -> str | None:
    """The newest CUDA of the table that a driver knows natively: "535.104.05" → "12.2".

    nvidia-smi shows this number as "CUDA Version". The branch decides, the driver's first number.
    None for a driver older than the table, or no driver version.
    """
    branch = numbers(driver)[:1]
    known = [row for row in table().cuda if numbers(row.driver)[:1] <= branch]
    return known[-1].version if known and branch else None


def cxx_standard(torch: str) -> int | None:
    """The C++ standard that this torch's headers ask for, e.g. 17."""
    row = torch_release(torch)
    return row.cxx if row else None
