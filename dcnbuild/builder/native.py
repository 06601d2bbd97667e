"""Chooses each device's library: prebuilt, then cached, then built now, then the reference.

`dcnbuild.ops` calls `load_registered` once torch is imported. It calls `ensure` when an operator is executed on a device
for which no loaded library has kernels. Only `ensure` compiles.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from dcnbuild.builder import flavour, notes, record, sources
from dcnbuild.builder.sources import LIBRARIES, PACKAGE, Library, library_file
from dcnbuild.errors import FindingError
from dcnbuild.machine import fork_locks

if TYPE_CHECKING:
    from dcnbuild.builder import cache

Route = Literal["prebuilt", "jit", "reference"]
#: The attempts, in this order; "cached" and "build" both give the route "jit".
Attempt = Literal["prebuilt", "cached", "build", "reference"]
ATTEMPTS: tuple[Attempt, ...] = get_args(Attempt)

#: The directory of the libraries in a wheel or an editable install.
PREBUILT = PACKAGE / "lib"

#: dcnbuild.ops sets this if it defined the operators itself, because no CPU library could be loaded.
schema_defined_in_python = False
_SCHEMA_DEFINED = "DCNBUILD_SCHEMA_DEFINED"


@dataclass(frozen=True)
class DeviceStatus:
    """The route of one device type.

    Attributes:
        device: "cpu" or "cuda".
        route: the route in use; None if the first execution will choose it.
        library: the loaded library, if any.
        attempt: the one of ATTEMPTS that gave the route; None as long as there is no route.
        architectures: nvcc's names of the library's architectures; () for the CPU.
        rejected: (attempt, reason) for each earlier one of ATTEMPTS that failed.
    """

    device: Library
    route: Route | None = None
    library: Path | None = None
    attempt: Attempt | None = None
    architectures: tuple[str, ...] = ()
    rejected: tuple[tuple[Attempt, str], ...] = ()


_status: dict[Library, DeviceStatus] = {name: DeviceStatus(name) for name in LIBRARIES}


def forced_route() -> Route | None:
    """Returns the value of DCNBUILD_ROUTE, None if it is not set. Raises ValueError for an unknown route."""
    text = os.environ.get("DCNBUILD_ROUTE")
    if not text:
        return None
    route: Route
    for route in get_args(Route):
        if text == route:
            return route
    raise ValueError(
        f"DCNBUILD_ROUTE is {text!r}, expected one of {', '.join(get_args(Route))}, or unset"
    )


def status(device_type: str) -> DeviceStatus:
    """Returns a device type's status at this moment. Raises ValueError for anything but "cpu" and "cuda"."""
    return _status[_library(device_type)]


def _library(device_type: str) -> Library:
    for name in LIBRARIES:
        if device_type == name:
            return name
    raise ValueError(
        f"dcnbuild has kernels for {' and '.join(LIBRARIES)} tensors, got a {device_type!r} tensor"
    )


def load_registered(*, everything: bool = False) -> None:
    """Loads the libraries that are already built; compiles nothing.

    It does not load a cached CUDA library, unless `everything` is true; the first execution on a GPU does. Finding one
    needs a search for toolkits, which would slow every import.
    """
    import torch

    try:
        forced_route()
    except ValueError:
        return  # the first execution raises the same error, where the user sees it
    with fork_locks.building:
        _load_existing("cpu")
        if torch.version.cuda:
            _load_existing("cuda", cached=everything)
        if _status["cpu"].route is None:
            _warn_of_another_torch()
        if _status["cuda"].library is None and forced_route() in (None, "prebuilt"):
            notes.cuda_left_out(PREBUILT, os.environ)


def _warn_of_another_torch() -> None:
    """Warns if the running torch cannot load the installed libraries."""
    built = record.read_record(PREBUILT)
    refused = _refusal(built) if built else None
    if refused and forced_route() in (None, "prebuilt"):
        warnings.warn(
            f"dcnbuild's compiled kernels were {refused}: they are compiled again on first use, or now by "
            "`dcnbuild build`, unless dcnbuild is built from its sources with this torch (`pip install .`).",
            RuntimeWarning,
            stacklevel=2,
        )


def _refusal(built: record.BuildRecord) -> str | None:
    """Says why the running torch cannot load the built libraries; None if it can."""
    import torch

    return flavour.refusal(built, str(torch.__version__), torch.compiled_with_cxx11_abi())


def ensure(device_type: str) -> Route:
    """Loads a device type's library, builds it if necessary, and returns the route.

    Returns "prebuilt" or "jit" once a library is loaded. Returns "reference", the operator in plain torch, on the CPU if
    nothing can be compiled, with one RuntimeWarning that says why; and on any device if DCNBUILD_ROUTE names it.

    Raises:
        FindingError: no CUDA library can be found or built, or none on the route that DCNBUILD_ROUTE names.
        ValueError: a wrong device type, DCNBUILD_ROUTE, DCNBUILD_CUDA or MAX_JOBS.
    """
    library = _library(device_type)
    with fork_locks.building:
        if _status[library].route is None:
            _load_existing(library)
        if _status[library].route is None:
            _build(library)
        route = _status[library].route
    assert route is not None  # otherwise _build has raised
    return route


def _load_existing(library: Library, cached: bool = True) -> None:
    """Tries the prebuilt and (if `cached`) the cached library, and records the reason against each."""
    if _status[library].library is not None:
        return
    forced = forced_route()
    rejected: list[tuple[Attempt, str]] = []
    if forced == "reference":
        reason = "DCNBUILD_ROUTE=reference"
        _status[library] = DeviceStatus(
            library,
            "reference",
            attempt="reference",
            rejected=tuple((attempt, reason) for attempt in ATTEMPTS[:-1]),
        )
        return
    if forced == "jit":
        rejected.append(("prebuilt", "DCNBUILD_ROUTE=jit"))
    else:
        prebuilt = _find_prebuilt(library)
        refused = prebuilt if isinstance(prebuilt, str) else _load(library, "prebuilt", *prebuilt)
        if refused is None:
            return
        rejected.append(("prebuilt", refused))
    if forced == "prebuilt":
        rejected += [("cached", "DCNBUILD_ROUTE=prebuilt"), ("build", "DCNBUILD_ROUTE=prebuilt")]
    elif cached:
        refused = _load_cached(library, rejected)
        if refused is None:
            return
        rejected.append(("cached", refused))
    _status[library] = DeviceStatus(library, rejected=tuple(rejected))


def _load_cached(library: Library, rejected: list[tuple[Attempt, str]]) -> str | None:
    """Loads the first loadable library of the cache; returns the reason if there is none."""
    from dcnbuild.builder import lookup

    reasons = []
    try:
        for entry in lookup.cached_entries(library, lookup.running_torch(), os.environ):
            if isinstance(entry, str):
                reasons.append(entry)
                continue
            refused = _load(library, "cached", entry.path, entry.record, rejected)
            if refused is None:
                return None
            reasons.insert(0, refused)
    except (FindingError, OSError) as error:
        reasons.append(str(error))
    return reasons[0]  # of a library that does not load, else of the first directory


def _find_prebuilt(library: Library) -> tuple[Path, record.LibraryRecord] | str:
    """Returns the prebuilt library of this installation, or the reason why there is none."""
    built = record.read_record(PREBUILT)
    if built is None:
        return f"nothing was built into {PREBUILT}"
    found = built.libraries.get(library)
    if found is None:
        return f"built without CUDA: {built.cuda_left_out}"
    refused = _refusal(built)
    if refused:
        return refused
    if found.source_hash != sources.source_hash(sources.csrc_dir(), library):
        return "the sources have changed since it was built"
    return record.damage(PREBUILT, library, found, deep=False) or (
        PREBUILT / library_file(library),
        found,
    )


def _load(
    library: Library,
    attempt: Attempt,
    path: Path,
    details: record.LibraryRecord,
    rejected: Iterable[tuple[Attempt, str]] = (),
) -> str | None:
    """Loads a library and makes it its device's library; returns the loader's message if that fails."""
    import torch

    try:
        with _schema_known():
            torch.ops.load_library(path)
    except OSError as error:
        return f"{path} cannot be loaded: {error}"
    route: Route = "prebuilt" if attempt == "prebuilt" else "jit"
    _status[library] = DeviceStatus(
        library, route, path, attempt, details.architectures, tuple(rejected)
    )
    return None


@contextlib.contextmanager
def _schema_known() -> Iterator[None]:
    """Tells a library, while it is loaded, whether the operators are already defined."""
    if not schema_defined_in_python:
        yield
        return
    os.environ[_SCHEMA_DEFINED] = "1"
    try:
        yield
    finally:
        del os.environ[_SCHEMA_DEFINED]


def _build(library: Library) -> None:
    """Builds and loads a library, or chooses the reference if that is allowed."""
    with fork_locks.importing:
        from dcnbuild.builder import findings, jit, lookup

        jit.import_the_rest()
    forced = forced_route()
    rejected = list(_status[library].rejected)
    finding = findings.no_library(library, rejected)
    if forced != "prebuilt":

        def load(entry: cache.Entry) -> str | None:
            return _load(library, "build", entry.path, entry.record, rejected)

        try:
            jit.build_cached(library, lookup.running_torch(), os.environ, load=load)
            return
        except FindingError as error:
            finding = error.finding
    if library == "cuda" or forced is not None:
        raise FindingError(finding)
    warnings.warn(
        "dcnbuild runs deform_conv2d as plain torch operations on the CPU, which is slow, "
        f"since its compiled kernels cannot be had. {FindingError(finding)}",
        RuntimeWarning,
        stacklevel=2,
    )
    reason: tuple[Attempt, str] = ("build", f"{finding.title}: {finding.cause}")
    _status[library] = DeviceStatus(
        library, "reference", attempt="reference", rejected=(*_status[library].rejected, reason)
    )
