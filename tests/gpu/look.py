"""The stages of session.py that are neither tests nor benchmarks: the machine, one call of every operator, a profile.

    python tests/gpu/look.py gpu|machine|operators|profile

Prints lines of JSON. If torch finds no GPU, `gpu` exits with 3; the others run on the CPU.
"""

from __future__ import annotations

import functools
import json
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NO_GPU = 3
#: What is told of a GPU, by torch's names.
PROPERTIES = {
    "gpu": "name",
    "multiprocessors": "multi_processor_count",
    "memory_bytes": "total_memory",
    "l2_bytes": "L2_cache_size",
}


def tell(**figures: Any) -> None:
    print(json.dumps(figures), flush=True)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Returns the seconds of one call, averaged over calls that are issued without waiting."""

    def wait() -> None:
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    work()
    wait()
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    wait()
    return (time.perf_counter() - start) / repeats


def why_none() -> str:
    """What torch says where it finds no GPU: a driver that is too old for it looks the same otherwise."""
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        return str(error).partition("\n")[0]
    return "it does not say why"


def gpu() -> int:
    if DEVICE == "cpu":
        print(f"no GPU: torch {torch.__version__} finds none ({why_none()}), so nothing was run")
        return NO_GPU
    print(", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())))
    return 0


def machine() -> int:
    """Prints the machine, its copy rate, and its GEMM rate in each dtype."""
    tell(python=platform.python_version(), torch=torch.__version__, cuda=torch.version.cuda)
    if DEVICE == "cuda":
        properties = torch.cuda.get_device_properties(0)
        found = {word: getattr(properties, name, None) for word, name in PROPERTIES.items()}
        tell(**found, capability=f"{properties.major}.{properties.minor}")
    size = 4096 if DEVICE == "cuda" else 256
    data = torch.empty(size * size * 4, device=DEVICE)
    moved = 2 * data.numel() * data.element_size()
    tell(copy_bytes_per_second=moved / seconds(lambda: data.clone(), 20))
    for name, dtype, tf32 in (
        ("float32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("float16", torch.float16, False),
        ("bfloat16", torch.bfloat16, False),
    ):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a = torch.randn(size, size, device=DEVICE, dtype=dtype)
        product = functools.partial(torch.matmul, a, a)
        tell(gemm=name, flops_per_second=2 * size**3 / seconds(product, 10))
    return 0


def operators() -> int:
    """Which route serves, and one small call of each operator on the device against the same on the CPU in float64."""
    from ops import attention_cases, sample_cases
    from ops.cases import Case, assert_close, run
    from ops.pooling_cases import PSROI, ROI

    import dcnbuild
    from dcnbuild.builder import native

    device: Any = DEVICE
    tell(dcnbuild=dcnbuild.__file__, route=native.ensure(device))
    case = Case(batch=2, channels=16, out_channels=6, size=(9, 7), groups=2, offset_groups=2)
    tensors = case.tensors(0, torch.float32, DEVICE)
    exact = {name: None if t is None else t.cpu().double() for name, t in tensors.items()}
    actual = run(dcnbuild.deform_conv2d, case, tensors)
    expected = run(dcnbuild.reference.deform_conv2d, case, exact, torch.float32)
    assert_close({name: t.cpu().double() for name, t in actual.items()}, expected, 1e-5)
    tell(operator="deform_conv2d", agrees=True)
    for pool in (PSROI, ROI):
        operator = getattr(torch.ops.dcnbuild, pool.operator)
        on_device, on_cpu = (
            operator(*pool.tensors(0, torch.float32, where).values(), *pool.attributes).cpu()
            for where in (DEVICE, "cpu")
        )
        torch.testing.assert_close(on_device, on_cpu, rtol=1e-4, atol=1e-4)
        tell(operator=pool.operator, agrees=True)
    for name, calls, shape in (
        ("deform_attn", attention_cases, attention_cases.AttnCase()),
        ("deform_sample", sample_cases, sample_cases.SampleCase()),
    ):
        given = shape.tensors(0, torch.float32, DEVICE)
        found = calls.results_of(torch.ops.dcnbuild, shape, given)
        wide = calls.expected_of(shape, {key: t.cpu().double() for key, t in given.items()})
        assert_close({key: t.cpu().double() for key, t in found.items()}, wide, 1e-5)
        tell(operator=name, agrees=True)
    return 0


def profile() -> int:
    """Microseconds of each kernel of a training step of the layer that docs/performance-cuda.md estimates."""
    from _cpu_cases import FUNCTIONS, Case, Operands, training_step
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    shape = (8, 256, 64, 64, 256) if DEVICE == "cuda" else (1, 8, 8, 8, 8)
    activities = {ProfilerActivity.CPU}
    if DEVICE == "cuda":
        activities.add(ProfilerActivity.CUDA)
    for dtype in (torch.float32, torch.float16):
        work = training_step(FUNCTIONS["dcnbuild"], Operands(Case("", *shape, dtype=dtype), DEVICE))
        work()
        with profiler(activities=activities) as found:
            for _ in range(5):
                work()
            if DEVICE == "cuda":
                torch.cuda.synchronize()
        for event in found.key_averages():
            spent = event.self_device_time_total if DEVICE == "cuda" else event.self_cpu_time_total
            if spent > 0:
                tell(
                    dtype=str(dtype),
                    kernel=event.key,
                    calls=event.count / 5,
                    microseconds=spent / 5,
                )
    return 0


if __name__ == "__main__":
    sys.exit({"gpu": gpu, "machine": machine, "operators": operators, "profile": profile}[sys.argv[1]]())
