"""Reads what decisions need of a GPU, and chooses among tiles by measuring them, once for each shape, where that is
allowed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence

import torch

from dcnbuild.ops.fused.configs import Config
from dcnbuild.ops.fused.route import Device

#: How often each candidate runs after its first time, which compiles it.
REPEATS = 5
_chosen: dict[Hashable, Config] = {}


@functools.cache
def device(which: torch.device) -> Device:
    """What decisions read of a GPU. The CPU has one multiprocessor: Triton's interpreter runs one program after the
    other.
    """
    if which.type != "cuda":
        return Device((0, 0), 1)
    found = torch.cuda.get_device_properties(which)
    return Device((found.major, found.minor), found.multi_processor_count)


def choose(
    key: Hashable,
    candidates: Sequence[Config],
    start: Callable[[Config], None],
    device: torch.device,
) -> Config:
    """Returns the fastest candidate for a key, measured at its first call.

    Returns the first candidate, which fits every GPU, where nothing may be measured: if torch wants deterministic
    algorithms, since tiles decide in which order numbers are added; while a CUDA graph is captured; and on the CPU.
    """
    if len(candidates) == 1 or not may_measure(device):
        return candidates[0]
    if key not in _chosen:
        _chosen[key] = fastest(candidates, start, functools.partial(milliseconds, device))
    return _chosen[key]


def may_measure(device: torch.device) -> bool:
    return (
        device.type == "cuda"
        and not torch.are_deterministic_algorithms_enabled()
        and not torch.cuda.is_current_stream_capturing()
    )


def fastest(
    candidates: Sequence[Config],
    start: Callable[[Config], None],
    clock: Callable[[Callable[[], None]], float],
) -> Config:
    """Returns the candidate that takes the least time. One that does not fit the GPU is left out, but never the
    first.
    """
    best, least = candidates[0], clock(functools.partial(start, candidates[0]))
    for config in candidates[1:]:
        try:
            took = clock(functools.partial(start, config))
        except Exception as error:  # triton's OutOfResources; a CUDA error would come again
            if type(error).__name__ != "OutOfResources":
                raise
            continue
        if took < least:
            best, least = config, took
    return best


def milliseconds(device: torch.device, work: Callable[[], None]) -> float:
    """Of REPEATS calls, after a first one that does not count."""
    with torch.cuda.device(device):
        work()
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(REPEATS):
            work()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end))
