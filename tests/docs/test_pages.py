"""Compares the examples' results on the pages with the records beside the figures, and checks the README's first
screen.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterable
from typing import Any

import pytest
from docs.blocks import CHECKOUT, blocks_of

from dcnbuild.doctor.logs import read_log

FIGURES = CHECKOUT / "docs" / "figures"
#: record → page.
RECORDS = {
    "align_frames": "align-frames",
    "convergence": "convergence",
    "psnr_pitfall": "psnr",
    "sync_batchnorm": "sync-batchnorm",
}


def record(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FIGURES / f"{name}.json").read_text(encoding="utf-8"))
    return found


def page(name: str) -> str:
    return (CHECKOUT / "docs" / "notes" / f"{RECORDS[name]}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RECORDS)
def test_figure_and_commit(name: str) -> None:
    commit = record(name)["commit"]
    assert re.fullmatch("[0-9a-f]{10}", commit), "made by files that were not committed"
    assert f"Made by commit `{commit}`" in page(name)
    (figure,) = re.findall(r"!\[.+\]\(\.\./figures/(.+?)\)", page(name))
    assert (FIGURES / figure).read_bytes().startswith(b"\x89PNG")


def test_align_frames() -> None:
    found = record("align_frames")
    assert len(found["seeds"]) == 3
    margins = [seed["deformable"] - seed["plain"] for seed in found["seeds"]]
    assert statistics.median(margins) >= 2
    for seed, margin in zip(found["seeds"], margins, strict=True):
        row = [seed["seed"], *(f"{seed[kind]:.2f}" for kind in ("noisy", "plain", "deformable"))]
        assert "| " + " | ".join(map(str, [*row, f"{margin:.2f}"])) + " |" in page("align_frames")
        assert seed["plain seconds"] + seed["deformable seconds"] < 180
        assert f"{seed['plain parameters']} (plain)" in page("align_frames")
        assert f"{seed['deformable parameters']} parameters" in page("align_frames")
    assert f"**{statistics.median(margins):.2f} dB**" in page("align_frames")


def test_convergence() -> None:
    found = record("convergence")
    for name, losses in found["losses"].items():
        end, first = sum(losses[-10:]) / 10, found["gradients"][name][0]
        assert f"| {name} | {end:.4f} | {first:.0e} |" in page("convergence")


def test_psnr_pitfall() -> None:
    found = record("psnr_pitfall")
    for name, line in found["psnr"].items():
        assert f"| {name} | {line[found['noise'].index(32)]:.2f} dB |" in page("psnr_pitfall")


def test_sync_batchnorm() -> None:
    found, text = record("sync_batchnorm"), page("sync_batchnorm")
    for row in found["half"]:
        numbers = f"{row['gamma']:.3f} | {row['expected gamma']:.3f} | {row['beta']:+.3f}"
        assert f"| {row['batch']} × 2 × 2 | {numbers} |" in text
    for batch in (1, 16, 256):
        ordinary, together = (
            found["gaps"][name][found["batches"].index(batch)] for name in ("ordinary", "synchronised to joined")
        )
        assert f"| {batch} | {ordinary:.3f} | {together:.0e} |" in text
    for gradient in found["gradients"].values():
        assert f"{gradient:.0e}" in text


def test_what_whole_models_gain_on_both_first_pages() -> None:
    networks = json.loads((CHECKOUT / "docs/models.json").read_text(encoding="utf-8"))["networks"].values()
    gains = [network["before"]["CPU s"] / network["after"]["CPU s"] for network in networks]
    for page in ("README.md", "docs/index.md"):
        assert f"{min(gains):.1f} to {max(gains):.1f} times as fast" in (CHECKOUT / page).read_text(encoding="utf-8")


def test_the_readmes_table_is_that_of_the_page() -> None:
    """Each figure beside OpenVINO and ONNX Runtime is a row of docs/performance.md, rounded."""
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    performance = (CHECKOUT / "docs/performance.md").read_text(encoding="utf-8")
    table = readme.partition("[start:figures]")[2].partition("[end:figures]")[0]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("|")]
    (_, *names), _, *rows = lines
    assert len(rows) == 4
    for case, *cells in rows:
        wanted = {name: float(cell) for name, cell in zip(names, cells) if cell}
        # mmcv was measured in a run of its own; the README says so
        mmcv = wanted.pop("mmcv 2.2.0", None)
        shape, threads = (
            ("encoder of Deformable DETR", 1) if case.startswith("attention") else (case.split(", f")[0], 2)
        )
        measured = [it for it in performance.splitlines() if shape in it and re.search(rf"\| +{threads} +\|", it)]
        numbers = [[float(it) for it in re.findall(r"(?<![\d.])\d+\.\d+(?![\d.×])", line)] for line in measured]

        def stands_in(row: list[float], figures: Iterable[float]) -> bool:
            return all(any(abs(n - it) <= 0.006 * it for n in row) for it in figures)

        assert any(stands_in(row, wanted.values()) for row in numbers), case
        assert mmcv is None or any(stands_in(row, [mmcv]) for row in numbers), case


def test_the_first_screen_of_the_readme() -> None:
    screen = "".join((CHECKOUT / "README.md").read_text(encoding="utf-8").splitlines(True)[:25])
    for needed in ("pip install", "from dcnbuild import", "dcnbuild doctor", "dcnbuild port"):
        assert needed in screen


def test_the_doctor_on_the_first_screen() -> None:
    """The log and the answer that the README shows beside it; the command names Python as the reader's shell does."""
    blocks = [b for b in blocks_of((CHECKOUT / "README.md").read_text(), "README.md") if b.language == "text"]
    log, answer = (block.text for block in blocks)
    (finding,) = read_log(log)
    assert [line.strip() for line in answer.splitlines()] == [
        f"{finding.severity}: {finding.title}  [{finding.id}]",
        finding.cause,
        *finding.evidence,
        "to fix it:",
        finding.fix[0],
    ]


@pytest.mark.parametrize("word", ["fp16", "bf16", "deform_groups", "jetson", "uninstall", "openvino"])
def test_what_people_search_for_is_found(word: str) -> None:
    """A search finds each word on a page other than the generated list of findings."""
    pages = [path for path in (CHECKOUT / "docs").rglob("*.md") if path.name != "findings.md"]
    assert [path for path in pages if word in path.read_text(encoding="utf-8").lower()]


def test_one_claim_about_gpus_on_both_first_pages() -> None:
    for page in ("README.md", "docs/index.md"):
        text = (CHECKOUT / page).read_text(encoding="utf-8")
        assert re.search(r"\*\*no GPU has run them yet\*\*", text), page
        assert "works on CPU and GPU" not in text
