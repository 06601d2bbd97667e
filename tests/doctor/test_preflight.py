"""The checks that builds ask first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from doctor.machines import broken

from dcnbuild.doctor.checks import preflight
from dcnbuild.doctor.examples import EXAMPLES, HEALTHY

#: What must stop a build with CUDA, and what a build without.
STOPS_CUDA = (
    "torch-missing",
    "compiler-missing",
    "gcc-too-old",
    "toolkit-missing",
    "cuda-mismatch",
    "cuda-headers-mixed",
    "arch-list-unknown",
    "cpath-other-toolkit",
    "torch-cpu-only",
    "disk-full",
)
STOPS_ALL = ("torch-missing", "compiler-missing", "gcc-too-old", "disk-full")


def errors(id: str, wants_cuda: bool) -> list[str]:
    found = preflight(EXAMPLES[id], wants_cuda)
    return [finding.id for finding in found if finding.severity == "error"]


@pytest.mark.parametrize("wants_cuda", [True, False])
def test_a_machine_in_good_order_is_let_through(wants_cuda: bool) -> None:
    assert preflight(HEALTHY, wants_cuda) == []


@pytest.mark.parametrize("id", STOPS_CUDA)
def test_what_stops_a_cuda_build(id: str) -> None:
    assert id in errors(id, wants_cuda=True)


@pytest.mark.parametrize("id", sorted(EXAMPLES))
def test_what_stops_a_build_without_cuda(id: str) -> None:
    assert errors(id, wants_cuda=False) == ([id] if id in STOPS_ALL else [])


@pytest.mark.parametrize("id", ["gpu-missing", "driver-too-old", "gpu-not-in-torch", "jit-lock", "ninja-missing"])
def test_what_only_matters_when_something_runs_stops_no_build(id: str) -> None:
    assert id not in [finding.id for finding in preflight(EXAMPLES[id], wants_cuda=True)]


def test_a_build_machine_needs_no_gpu() -> None:
    facts = broken(driver=EXAMPLES["gpu-missing"].driver)
    assert preflight(facts, wants_cuda=True) == []
    without = replace(facts, toolkits=(), cuda_home=None)
    assert [finding.id for finding in preflight(without, wants_cuda=True)] == ["toolkit-missing"]
