"""The CPU kernels of every instruction set that this CPU has, not only of the best one, against the reference."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

PROBE = """
import sys
import torch
from matrix_units import levels
from ops import attention_cases as attention
from ops import not_finite_cases as wild
from ops import pooling_cases as pooling
from ops import sample_cases as sampling
from ops.cases import Case, assert_close, random_case, run
import dcnbuild
from dcnbuild.builder import native

native.ensure("cpu")
if native.cpu_level() is None:
    sys.exit(77)
print(native.cpu_level())
# Channels that fill whole vectors, part of one, and neither; one offset group and several.
cases = [random_case(seed) for seed in range(30)] + [
    Case(batch=2, channels=channels, out_channels=21, size=(19, 23), offset_groups=groups)
    for channels, groups in ((48, 1), (48, 6), (35, 5), (3, 1))
]
tolerances = {torch.float32: 1e-5, torch.float64: 1e-12, torch.float16: 16e-3, torch.bfloat16: 0.125}
for seed, case in enumerate(cases):
    for dtype, tolerance in tolerances.items():
        tensors = case.tensors(seed, dtype)
        exact = {name: None if t is None else t.double() for name, t in tensors.items()}
        actual = run(dcnbuild.deform_conv2d, case, tensors)
        expected = (
            run(dcnbuild.reference.deform_conv2d, case, exact, dtype)
            if dtype.itemsize == 2
            else run(dcnbuild.reference.deform_conv2d, case, tensors)
        )
        assert_close({name: t.to(expected[name]) for name, t in actual.items()}, expected, tolerance, (seed, case, dtype))
points = ((torch.float32, 1e-5), (torch.float64, 1e-12), (torch.float16, 1e-3), (torch.bfloat16, 8e-3))
for calls in (attention, sampling):
    for seed in range(40):
        case = calls.random_case(seed)
        for dtype, tolerance in points:
            tensors = case.tensors(seed, dtype)
            exact = {name: t.to(torch.promote_types(dtype, torch.float32)) for name, t in tensors.items()}
            actual = calls.results_of(torch.ops.dcnbuild, case, tensors)
            expected = calls.expected_of(case, exact)
            assert_close({n: t.to(expected[n]) for n, t in actual.items()}, expected, tolerance, (seed, case, dtype))
for name, case in pooling.KINDS.items():
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.float64, 1e-11), (torch.float16, 8e-3), (torch.bfloat16, 0.0625)):
        tensors = case.tensors(3, dtype)
        exact = {n: t.double() for n, t in tensors.items()}
        actual = pooling.gradients(case.operate, tensors)
        expected = pooling.gradients(case.reference, exact)
        assert_close({n: t.double() for n, t in actual.items()}, expected, tolerance, (name, dtype))
if native.cpu_level() in levels.DTYPES:
    levels.check(native.cpu_level())
# What is not finite, in its place.
for case in wild.SHAPES:
    for seed, names in enumerate(wild.SETS):
        for dtype in (torch.float32, torch.float64):
            tensors = wild.wild_call(case, names, seed, dtype)
            actual, expected = (wild.results_of(n, case, tensors) for n in (torch.ops.dcnbuild, wild.REFERENCE))
            wild.assert_same(actual, expected, 1e-5, (case, names))
"""


#: The levels of isa.cpp, and the machine that may have them.
LEVELS = {
    "generic": platform.machine(),
    **dict.fromkeys(("avx2", "avx512", "avx512bf16", "amx", "amx_fp16"), "x86_64"),
    **dict.fromkeys(("neon", "neon_bf16"), "aarch64"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LEVELS)
def test_agrees_with_the_reference(name: str) -> None:
    if platform.machine() != LEVELS[name]:
        pytest.skip(f"{name} is of {LEVELS[name]}")
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={
            **os.environ,
            "DCNBUILD_CPU_ISA": name,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
        },
        capture_output=True,
        text=True,
    )
    if done.returncode == 77:
        pytest.skip(f"this CPU has no {name}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip() == name


def test_unknown_name_says_what_is_known() -> None:
    code = (
        "import torch, dcnbuild\n"
        "dcnbuild.deform_conv2d(torch.ones(1, 1, 3, 3), torch.zeros(1, 18, 1, 1), torch.ones(1, 1, 3, 3))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "DCNBUILD_CPU_ISA": "sse9"},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "DCNBUILD_CPU_ISA is sse9, expected one of" in done.stderr
