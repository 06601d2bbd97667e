"""Names routes and attempts, and reads DCNBUILD_ROUTE."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from dcnbuild.builder.sources import Device

Route = Literal["prebuilt", "nvrtc", "jit", "reference"]
#: The attempts, in this order; "cached" and "build" both give the route "jit".
Attempt = Literal["prebuilt", "nvrtc", "cached", "build", "reference"]
ATTEMPTS: tuple[Attempt, ...] = get_args(Attempt)


@dataclass(frozen=True)
class DeviceStatus:
    """The route of one device type.

    Attributes:
        device: "cpu" or "cuda".
        route: the route in use; None if the first execution will choose it.
        library: the loaded library, if any.
        attempt: the one of ATTEMPTS that gave the route; None as long as there is no route.
        architectures: nvcc's names of the library's architectures; () for the CPU and on the route "nvrtc".
        rejected: (attempt, reason) for each earlier one of ATTEMPTS that failed.
    """

    device: Device
    route: Route | None = None
    library: Path | None = None
    attempt: Attempt | None = None
    architectures: tuple[str, ...] = ()
    rejected: tuple[tuple[Attempt, str], ...] = ()


def attempts_of(device: Device) -> tuple[Attempt, ...]:
    """Returns the attempts for a device, in order."""
    return tuple(attempt for attempt in ATTEMPTS if device == "cuda" or attempt != "nvrtc")


def forced_route() -> Route | None:
    """Returns the value of DCNBUILD_ROUTE, None if it is not set. Raises ValueError for an unknown route."""
    text = os.environ.get("DCNBUILD_ROUTE")
    if not text:
        return None
    route: Route
    for route in get_args(Route):
        if text == route:
            return route
    raise ValueError(f"DCNBUILD_ROUTE is {text!r}, expected one of {', '.join(get_args(Route))}, or unset")


def forced_for(device: Device) -> Route | None:
    """Returns the route that DCNBUILD_ROUTE forces on a device. "nvrtc" forces nothing on the CPU, which has no such
    route.
    """
    forced = forced_route()
    return None if device == "cpu" and forced == "nvrtc" else forced


def route_of(attempt: Attempt) -> Route:
    """Returns the route that an attempt gives."""
    if attempt == "cached" or attempt == "build":
        return "jit"
    return attempt
