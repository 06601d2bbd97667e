"""Chooses each device's library: prebuilt, then NVRTC's (CUDA only), then cached, then built now, then the reference.

`dcnbuild.ops` calls `load_registered` once torch is imported. It calls `ensure` when an operator is executed on a
device for which no loaded library has kernels. Only `ensure` compiles.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dcnbuild.builder import flavour, gpu_route, notes, record, sources
from dcnbuild.builder.routes import (
    ATTEMPTS,
    Attempt,
    DeviceStatus,
    Route,
    attempts_of,
    forced_for,
    forced_route,
    route_of,
)
from dcnbuild.builder.sources import DEVICES, PACKAGE, Device, Library, library_file
from dcnbuild.errors import FindingError
from dcnbuild.machine import fork_locks

if TYPE_CHECKING:
    from dcnbuild.builder import cache

#: Where a wheel or an editable install puts its libraries.
PREBUILT = PACKAGE / "lib"

#: dcnbuild.ops sets this if it defined the operators itself, because no CPU library could be loaded.
schema_defined_in_python = False
_SCHEMA_DEFINED = "DCNBUILD_SCHEMA_DEFINED"

#: Called with a device's name when its library has been loaded; each returns nothing.
when_loaded: list[Callable[[Device], None]] = []

_status: dict[Device, DeviceStatus] = {name: DeviceStatus(name) for name in DEVICES}


def status(device_type: str) -> DeviceStatus:
    """Returns a device type's status at this moment. Raises ValueError for anything but "cpu" and "cuda"."""
    return _status[_device(device_type)]


def cpu_level() -> str | None:
    """Returns the instruction set of the CPU's kernels ("avx2"), chosen by the CPU or by DCNBUILD_CPU_ISA.

    None if no compiled kernels are loaded, or if DCNBUILD_CPU_ISA names one that cannot be used.
    """
    library = _status["cpu"].library
    if library is None:
        return None
    name = ctypes.CDLL(str(library)).dcnbuild_cpu_isa
    name.restype = ctypes.c_char_p
    found = name()
    return found.decode() if found else None


def _device(device_type: str) -> Device:
    for name in DEVICES:
        if device_type == name:
            return name
    raise ValueError(f"dcnbuild has kernels for {' and '.join(DEVICES)} tensors, got a {device_type!r} tensor")


def load_registered(*, everything: bool = False) -> None:
    """Loads the libraries that are already built; compiles nothing.

    It loads no CUDA library, unless `everything` is true; the first execution on a GPU does. The choice depends on the
    GPU. Asking CUDA for it would stop this process from forking.
    """
    import torch

    try:
        forced_route()
    except ValueError:
        return  # the first execution raises the same error, where the user sees it
    with fork_locks.building:
        _load_existing("cpu")
        if torch.version.cuda and everything:
            _load_existing("cuda")
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

    Returns "prebuilt", "nvrtc" or "jit" once a library is loaded. Returns "reference", the operator in plain torch, on
    the CPU if nothing can be compiled, with one RuntimeWarning that says why; and on any device if DCNBUILD_ROUTE names
    it.

    Raises:
        FindingError: no CUDA library can be found or built, or none on the route that DCNBUILD_ROUTE names.
        ValueError: a wrong device type, DCNBUILD_ROUTE, DCNBUILD_CUDA or MAX_JOBS.
    """
    device = _device(device_type)
    with fork_locks.building:
        if _status[device].route is None:
            _load_existing(device)
        if _status[device].route is None:
            _build(device)
        route = _status[device].route
    assert route is not None  # or _build has raised
    return route


def _load_existing(device: Device) -> None:
    """Tries the prebuilt and (if `cached`) the cached library, and records the reason against each."""
    if _status[device].library is not None:
        return
    forced = forced_for(device)
    attempts = attempts_of(device)
    if forced == "reference":
        reason = "DCNBUILD_ROUTE=reference"
        _status[device] = DeviceStatus(
            device,
            "reference",
            attempt="reference",
            rejected=tuple((attempt, reason) for attempt in attempts[:-1]),
        )
        return
    rejected: list[tuple[Attempt, str]] = []
    for attempt in attempts[:-2]:
        refused: str | None = f"DCNBUILD_ROUTE={forced}"
        if forced in (None, route_of(attempt)):
            refused = _load_by(attempt, device, rejected)
        if refused is None:
            return
        rejected.append((attempt, refused))
    if forced in ("prebuilt", "nvrtc"):
        rejected.append(("build", f"DCNBUILD_ROUTE={forced}"))
    _status[device] = DeviceStatus(device, rejected=tuple(rejected))


def _load_by(attempt: Attempt, device: Device, rejected: list[tuple[Attempt, str]]) -> str | None:
    """Loads what an attempt finds, or returns why there is nothing to load."""
    if attempt == "cached":
        return _load_cached(device, device, attempt, rejected)
    if attempt == "nvrtc":
        refused = gpu_route.refusal()
        if refused is not None:
            return refused
    prebuilt = _find_prebuilt("nvrtc" if attempt == "nvrtc" else device)
    if not isinstance(prebuilt, str):
        refused = gpu_route.unfit(prebuilt[1])
        return refused or _load(device, attempt, *prebuilt, rejected)
    if attempt == "nvrtc" and _load_cached(device, "nvrtc", attempt, rejected) is None:
        return None
    return prebuilt


def _load_cached(device: Device, library: Library, attempt: Attempt, rejected: list[tuple[Attempt, str]]) -> str | None:
    """Loads the first library of the cache that can be loaded, or returns why there is none."""
    from dcnbuild.builder import lookup

    reasons = []
    try:
        for entry in lookup.cached_entries(library, lookup.running_torch(), os.environ):
            if isinstance(entry, str):
                reasons.append(entry)
                continue
            refused = _load(device, attempt, entry.path, entry.record, rejected)
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
        return f"built without CUDA: {built.cuda_left_out or 'there is no ' + library_file(library)}"
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
    device: Device,
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
        if attempt == "nvrtc":
            gpu_route.serve_kernels(path)
    except OSError as error:
        return f"{path} cannot be loaded: {error}"
    before = ATTEMPTS[: ATTEMPTS.index(attempt)]
    reasons = tuple((name, why) for name, why in rejected if name in before)
    _status[device] = DeviceStatus(device, route_of(attempt), path, attempt, details.architectures, reasons)
    for call in when_loaded:
        call(device)
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


def _build(device: Device) -> None:
    """Builds and loads a library, or chooses the reference if that is allowed."""
    with fork_locks.importing:
        from dcnbuild.builder import findings, jit, lookup

        jit.import_the_rest()
    forced = forced_for(device)
    rejected = list(_status[device].rejected)
    finding = findings.no_library(device, rejected)
    libraries: tuple[Library, ...] = (device,) if device == "cpu" else ("nvrtc", "cuda")
    for library in libraries:
        attempt: Attempt = "nvrtc" if library == "nvrtc" else "build"
        if forced not in (None, route_of(attempt)) or (library == "nvrtc" and gpu_route.refusal() is not None):
            continue

        def load(entry: cache.Entry, attempt: Attempt = attempt) -> str | None:
            return _load(device, attempt, entry.path, entry.record, rejected)

        try:
            jit.build_cached(library, lookup.running_torch(), os.environ, load=load)
            return
        except FindingError as error:
            finding = error.finding
    if device == "cuda" or forced is not None:
        raise FindingError(finding)
    warnings.warn(
        "dcnbuild runs deform_conv2d as plain torch operations on the CPU, which is slow, "
        f"since its compiled kernels cannot be had. {FindingError(finding)}",
        RuntimeWarning,
        stacklevel=2,
    )
    reason: tuple[Attempt, str] = ("build", f"{finding.title}: {finding.cause}")
    _status[device] = DeviceStatus(
        device, "reference", attempt="reference", rejected=(*_status[device].rejected, reason)
    )
