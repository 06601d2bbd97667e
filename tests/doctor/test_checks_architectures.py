"""TORCH_CUDA_ARCH_LIST and the architectures of GPU, torch and toolkit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from doctor.machines import (
    RTX_5090,
    V100,
    broken,
    found,
    gpu_driver,
    one,
    toolkit,
    torch,
    variables,
)

from dcnbuild.doctor.examples import HEALTHY
from dcnbuild.machine.facts import Driver


def test_a_gpu_that_the_toolkit_has_dropped() -> None:
    facts = broken(driver=gpu_driver("580.95.05", "13.0", V100))
    finding = one(facts, "gpu-not-in-toolkit")
    assert "compute capability 7.5 to 12.1" in finding.cause
    assert finding.fix[1].endswith("/cu126") and len(finding.fix) > 2  # and a toolkit for that one
    assert found(broken(toolkits=(toolkit("99.0"),)), "gpu-not-in-toolkit") == []


def test_a_gpu_that_is_newer_than_the_toolkit() -> None:
    """torch asks nvcc for the architecture of the GPU as far as its own CUDA knows it, and an older nvcc refuses."""
    facts = broken(
        toolkits=(toolkit("12.4"),),
        torch=torch("2.7.1+cu128", "12.8", "sm_90", "sm_120"),
        driver=gpu_driver("580.95.05", "13.0", RTX_5090),
    )
    finding = one(facts, "gpu-not-in-toolkit")
    assert "12.4 compiles for compute capability 5.0 to 9.0" in finding.cause
    assert any("12.8" in line or "12-8" in line for line in finding.fix)
    assert found(facts, "cuda-minor-mismatch") == []
    # what torch's own CUDA does not know, it does not ask for
    older_torch = replace(facts, torch=torch("2.5.1+cu124", "12.4", "sm_90", "compute_90"))
    assert found(older_torch, "gpu-not-in-toolkit") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("7.0;8.6", "nvcc 13.0 does not know sm_70."),
        ("8.6+PTX;Volta", "nvcc 13.0 does not know sm_70, compute_70."),
        ("sm_86", "'sm_86' is no GPU architecture (expected e.g. '8.6', '9.0+PTX' or 'Ampere')."),
    ],
)
def test_an_arch_list_that_cannot_be(text: str, said: str) -> None:
    finding = one(broken(variables=variables(TORCH_CUDA_ARCH_LIST=text)), "arch-list-unknown")
    assert finding.cause == said
    everything = "'7.5;8.0;8.6;9.0;10.0;12.0+PTX'"
    meant = "8.6" if text == "sm_86" else everything
    assert finding.fix == (f"export TORCH_CUDA_ARCH_LIST={meant}",)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("86", "8.6"),
        ("sm_86", "8.6"),
        ("compute_89", "8.9"),
        ("80;86", "'8.0;8.6'"),
        ("120+PTX", "'8.9;12.0+PTX'"),  # and what the GPU that is there takes
        ("9.0a,100", "'8.9;9.0a;10.0'"),
        ("8.6,rubbish", "'7.5;8.0;8.6;9.0;10.0;12.0+PTX'"),
    ],
)
def test_other_spellings_of_an_arch_list(text: str, meant: str) -> None:
    facts = broken(variables=variables(TORCH_CUDA_ARCH_LIST=text))
    assert one(facts, "arch-list-unknown").fix == (f"export TORCH_CUDA_ARCH_LIST={meant}",)


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("8.6;8.9+PTX", None),
        ("Ampere 8.9", None),
        ("native", None),
        ("", None),
        ("8.6;10.0", "10.0"),
        ("8.6,8.9", "8.6,8.9"),  # torch knows no commas
        ("Blackwell", "Blackwell"),
        ("8.9+ptx", "8.9+ptx"),
    ],
)
def test_what_torch_itself_does_not_know(text: str, unknown: str | None) -> None:
    listable = ("8.0", "8.6", "8.9", "9.0", "Ampere")
    facts = broken(
        torch=torch("2.5.1", "12.4", listable=listable),
        variables=variables(TORCH_CUDA_ARCH_LIST=text),
    )
    findings = found(facts, "arch-list-unknown-to-torch")
    assert [unknown in finding.cause for finding in findings if unknown] == [True] * bool(unknown)
    unread = replace(facts, torch=torch("2.5.1", "12.4"))
    assert found(unread, "arch-list-unknown-to-torch") == []


@pytest.mark.parametrize("text", ["8.9", "8.6;8.9+PTX", "native", "", "Ada"])
def test_arch_lists_that_are_right(text: str) -> None:
    facts = broken(variables=variables(TORCH_CUDA_ARCH_LIST=text))
    assert found(facts, "arch-list-unknown") == []
    assert found(facts, "arch-list-misses-gpu") == []
    assert found(replace(facts, wants_cuda=False), "arch-list-unknown") == []


def test_an_arch_list_without_the_gpu() -> None:
    facts = broken(variables=variables(TORCH_CUDA_ARCH_LIST="9.0;10.0"))
    assert one(facts, "arch-list-misses-gpu").fix == ("export TORCH_CUDA_ARCH_LIST='9.0;10.0;8.9'",)
    without_gpu = replace(facts, driver=Driver())
    assert found(without_gpu, "arch-list-misses-gpu") == []


def test_where_torch_ends_in_an_index_error() -> None:
    facts = broken(driver=Driver(devices=0))
    assert one(facts, "arch-list-empty").severity == "note"
    for good in (
        HEALTHY,
        replace(facts, variables=variables(TORCH_CUDA_ARCH_LIST="8.6")),
        replace(facts, toolkits=()),
        replace(facts, torch=torch("2.14.1+cpu", None)),
        replace(facts, driver=Driver(devices=1)),
    ):
        assert found(good, "arch-list-empty") == []
