"""Tests what `dcnbuild doctor` makes of its arguments, without a look at this machine; and the same from code."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from machine.trees import write

from dcnbuild.cli import doctor as command
from dcnbuild.doctor.examples import EXAMPLES, HEALTHY


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine in good order, without probing."""
    monkeypatch.setattr(command, "collect", lambda *arguments: HEALTHY)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--torch", "abc"],
        ["--torch", ">=x"],
        ["--gpu", "Radeon"],
        ["--driver", "new"],
        ["--explain", "cuda-mismach"],
        ["--facts", os.devnull],
        ["--facts", "/dev/zero"],
        ["--log", "/dev/zero"],
        ["--facts", "/nonexistent.json"],
    ],
)
def test_arguments_that_mean_nothing(arguments: list[str], here: None, capsys: pytest.CaptureFixture[str]) -> None:
    from dcnbuild.cli import main

    assert main(["doctor", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("dcnbuild doctor: ") and "Traceback" not in printed.err


def test_what_was_understood_is_said(here: None, capsys: pytest.CaptureFixture[str]) -> None:
    from dcnbuild.cli import main

    assert main(["doctor", "--torch", "cu126", "--gpu", "V100"]) == 1
    assert "the newest torch for CUDA 12.6 on this machine: 2.14.1 (CUDA 12.6)" in capsys.readouterr().out
    assert main(["doctor", "--torch", "2.99"]) == 1
    assert "there is no torch 2.99 in the table" in capsys.readouterr().out


def test_a_report_to_post_and_to_read_elsewhere(
    tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dcnbuild.cli import main

    monkeypatch.setenv("HOME", "/home/ada")
    assert main(["doctor", "--share"]) == 0
    assert "~/venv/bin/python" in capsys.readouterr().out
    assert main(["doctor", "--json", "--share"]) == 0
    text = capsys.readouterr().out
    assert "/home/ada" not in text
    monkeypatch.setattr(command, "collect", None)  # nothing of this machine is asked
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):  # PowerShell's `>` writes the last
        file = write(tmp_path / "theirs.json")
        file.write_text(text, encoding)
        assert main(["doctor", "--facts", str(file)]) == 0
        assert "~/venv/bin/python" in capsys.readouterr().out


@pytest.mark.parametrize("id", ["cuda-mismatch", "gcc-too-new", "thc-headers"])
def test_a_finding_is_explained(id: str, capsys: pytest.CaptureFixture[str]) -> None:
    from dcnbuild.cli import main

    assert main(["doctor", "--explain", id]) == 0
    assert capsys.readouterr().out.startswith(f"{id} (")
    assert main(["doctor", "--explain", id, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["id"] == id and all(part["title"] and part["example"] for part in document["parts"])


def test_findings_from_code(monkeypatch: pytest.MonkeyPatch) -> None:
    import dcnbuild.doctor
    from dcnbuild.machine import collect as probes

    monkeypatch.setattr(probes, "collect", lambda *arguments: EXAMPLES["cuda-mismatch"])
    assert next(item.id for item in dcnbuild.doctor.check()) == "cuda-mismatch"
    assert next(item.id for item in dcnbuild.doctor.check(wants_cuda=True)) == "cuda-mismatch"
    assert dcnbuild.doctor.check(wants_cuda=False) == []
    assert "torch-never-existed" in [item.id for item in dcnbuild.doctor.check("1.16")]
    with pytest.raises(ValueError, match="no version of torch"):
        dcnbuild.doctor.check("abc")
