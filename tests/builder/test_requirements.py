"""Tests the choice of a build's torch: a process searches once, for any number of hooks and commands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dcnbuild.builder import compile, requirements
from dcnbuild.machine import collect
from dcnbuild.machine.facts import TorchInstall


def test_a_process_looks_for_torch_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch = TorchInstall(tmp_path / "torch", "2.14.1", None, True)
    looked = []

    def read_torch(site: Path) -> TorchInstall:
        looked.append(site)
        return torch

    def find_torches(*arguments: object) -> list[TorchInstall]:
        raise AssertionError("torch is looked for again")

    requirements.torch_of_build.cache_clear()
    monkeypatch.setattr(requirements, "read_torch", read_torch)
    monkeypatch.setattr(collect, "find_torches", find_torches)
    try:
        assert requirements.torch_requirement_of_build() == []
        assert requirements.install_requirements()[0].startswith("torch>=2.10")
        plan = compile.plan_here(requirements.torch_of_build(), os.environ, "off")
    finally:
        requirements.torch_of_build.cache_clear()
    assert plan.torch is torch
    assert len(looked) == 1
