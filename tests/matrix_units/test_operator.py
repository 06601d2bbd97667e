"""The whole operator at every level of x86-64, on a library that is compiled with stand-ins for the instructions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from matrix_units.build import CXX, environment, has_avx2

pytest.importorskip("torch")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not has_avx2(), reason="the stand-ins need a CPU with AVX2"),
]

LIBRARY = """
import ctypes, sys
from dcnbuild.builder import native

native.ensure("cpu")
isa = ctypes.CDLL(str(native.status("cpu").library)).dcnbuild_cpu_isa
isa.restype = ctypes.c_char_p
"""

PROBE = (
    LIBRARY
    + """
import torch
from ops.cases import Case, assert_close, random_case, run
import dcnbuild

dtypes = {"avx512bf16": (torch.bfloat16,), "amx": (torch.bfloat16,), "amx_fp16": (torch.bfloat16, torch.float16)}
level = isa().decode()
tolerances = {torch.float16: 2e-3, torch.bfloat16: 0.016}


def case_of(channels, outs, groups=1, offset_groups=1, **more):
    return Case(channels=channels, out_channels=outs, groups=groups, offset_groups=offset_groups, **more)


# Channels that are odd, that fill a tile's depth and that do not; both kinds of groups, which end at different
# channels; images of less than 16 positions and of several tiles; taps that are gathered in parts (260 channels).
cases = [random_case(seed) for seed in range(6)] + [
    case_of(35, 21, offset_groups=5),
    case_of(48, 21, 3, 2, size=(9, 23)),
    case_of(64, 64, 1, 8, size=(12, 17), batch=1),
    case_of(96, 34, 2, 3),
    case_of(260, 20, size=(10, 14), batch=1, mask=False, bias=False),
    case_of(9, 3, size=(3, 3), padding=(0, 0)),
]
for seed, case in enumerate(cases):
    for dtype in dtypes[level]:
        tensors = case.tensors(seed, dtype)
        if seed % 2:
            tensors["input"] = tensors["input"].contiguous(memory_format=torch.channels_last)
        exact = {name: None if t is None else t.double() for name, t in tensors.items()}
        actual = run(dcnbuild.deform_conv2d, case, tensors)
        expected = run(dcnbuild.reference.deform_conv2d, case, exact, dtype)
        actual = {name: t.to(expected[name]) for name, t in actual.items()}
        assert_close(actual, expected, tolerances[dtype], (seed, case, dtype))

# The error is not above that of torch's own product of the same columns, rounded to the dtype.
case = case_of(64, 48, size=(11, 13))
taps = 9 * case.channels
for dtype in dtypes[level]:
    tensors = case.tensors(0, dtype)
    exact = {name: None if t is None else t.double() for name, t in tensors.items()}
    one_hot = {**exact, "weight": torch.eye(taps, dtype=torch.float64).view(taps, case.channels, 3, 3), "bias": None}
    columns = dcnbuild.reference.deform_conv2d(**one_hot, **case.attributes()).to(dtype)
    weight = tensors["weight"].view(case.out_channels, taps, 1, 1)
    theirs = torch.nn.functional.conv2d(columns, weight, tensors["bias"]).double()
    ours = dcnbuild.deform_conv2d(**tensors, **case.attributes()).double()
    expected = dcnbuild.reference.deform_conv2d(**exact, **case.attributes())
    errors = [float((t - expected).square().mean().sqrt()) for t in (ours, theirs)]
    print(dtype, "errors, ours and torch's:", *errors)
    assert errors[0] <= 1.02 * errors[1], errors

# What is not finite stays where it is: not in another group, and not through a tile's padding.
case = case_of(48, 32, 2, 3, size=(5, 7))
for dtype in dtypes[level]:
    tensors = case.tensors(1, dtype)
    plain = dcnbuild.deform_conv2d(**tensors, **case.attributes())
    tensors["input"][0, 3] = float("nan")
    tensors["input"][1, 30] = float("inf")
    spoiled = dcnbuild.deform_conv2d(**tensors, **case.attributes())
    assert spoiled[0, :16].isnan().any() and not spoiled[1, 16:].isfinite().all()
    assert torch.equal(spoiled[0, 16:], plain[0, 16:]) and torch.equal(spoiled[1, :16], plain[1, :16])
"""
)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that has the library."""
    path = tmp_path_factory.mktemp("cache")
    done = run(path, LIBRARY, DCNBUILD_CPU_ISA="generic")
    assert done.returncode == 0, done.stdout + done.stderr
    return path


def run(cache: Path, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    tests = str(Path(__file__).parents[1])
    path = os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])
    env = environment(CXX=str(CXX), DCNBUILD_ROUTE="jit", DCNBUILD_CACHE=str(cache), PYTHONPATH=path, **variables)
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)


@pytest.mark.parametrize("name", ["avx512bf16", "amx", "amx_fp16"])
def test_agrees_with_the_reference(cache: Path, name: str) -> None:
    done = run(cache, PROBE, DCNBUILD_CPU_ISA=name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("best", ["amx_fp16", "amx", "avx512bf16", "avx512", "avx2"])
def test_the_best_that_is_there_serves(cache: Path, best: str) -> None:
    code = LIBRARY + "print(isa().decode())"
    done = run(cache, code, DCNBUILD_STAND_IN_HAS=best, DCNBUILD_CPU_ISA="")
    assert (done.returncode, done.stdout) == (0, f"{best}\n"), done.stderr
