"""matrix.yaml: what stands in it, and what is said about one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from dcnbuild import matrix
from dcnbuild.base.versions import numbers

ROW = """\
pairs:
  - id: torch-2.14.1-cu130
    torch: "2.14.1"
    torchvision: "0.29.1"
    cuda: "13.0"
    python: "3.11"
    index: pypi
    toolkit: "13.0"
    toolkit_from: pypi
    cxx: 17
    flavour: stable
    tier: ci
    download: 2800
    source: "measured: a test"
"""

ASKED_FOR = """
2.0.1/cu117 2.1.2/cu121 2.4.1/cu121 2.5.1/cu124 2.6.0/cu124 2.7.1/cu126 2.8.0/cu128 2.9.1/cu128 2.10.0/cu128
2.11.0/cu130 2.12.1/cu130 2.13.0/cu130 2.14.1/cu130 2.15.0/cu132 2.13.0/cpu
"""


def read(tmp_path: Path, text: str) -> tuple[matrix.Pair, ...]:
    path = tmp_path / "matrix.yaml"
    path.write_text(text)
    return matrix.load(path)


def test_the_list_of_this_project() -> None:
    pairs = matrix.pairs()
    there = {f"{pair.torch}/{matrix.wheel_variant(pair.cuda)}" for pair in pairs}
    assert set(ASKED_FOR.split()) <= there
    assert [pair.tier for pair in pairs if pair.index not in ("pypi", "cpu")] == ["extended"] * 12
    assert all(pair.toolkit for pair in pairs if pair.cuda)
    assert all(pair.source for pair in pairs)
    # nox reads the first pair's torch without a YAML reader
    assert pairs[0].tier == "ci"
    assert pairs[0].torchvision is not None


def test_a_row(tmp_path: Path) -> None:
    (pair,) = read(tmp_path, ROW)
    assert pair == matrix.Pair(
        id="torch-2.14.1-cu130",
        torch="2.14.1",
        cuda="13.0",
        python="3.11",
        index="pypi",
        flavour="stable",
        cxx=17,
        tier="ci",
        download=2800,
        source="measured: a test",
        torchvision="0.29.1",
        toolkit="13.0",
        toolkit_from="pypi",
    )


def test_an_unquoted_version_keeps_its_zero(tmp_path: Path) -> None:
    text = ROW.replace('python: "3.11"', "python: 3.10")
    assert read(tmp_path, text)[0].python == "3.10"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("tier: ci", "tier: fast", 12, "tier is 'fast', expected one of ci, full, extended"),
        ("flavour: stable", "flavour: c++", 11, "expected one of stable, aten"),
        ("flavour: stable", "flavour: aten", 11, "torch 2.14.1 is served by stable"),
        ("cxx: 17", "cxx: 11", 10, "cxx is '11', expected one of 14, 17, 20"),
        ("    cxx: 17\n", "", 2, "without cxx"),
        ("    cxx: 17\n", "    cxx: 17\n    speed: 1\n", 11, "unknown key 'speed', expected id, torch"),
        ("    cxx: 17\n", "    cxx: 17\n    cxx: 20\n", 11, "cxx stands there twice"),
        ('torch: "2.14.1"', 'torch: "2.14"', 3, "torch is '2.14', expected a version such as '2.14.1'"),
        ('torch: "2.14.1"', 'torch: "2.14.9"', 3, "torch 2.14.9 is not in compatibility.yaml"),
        ('python: "3.11"', 'python: "3.8"', 6, "wheels for 3.10 to 3.14"),
        ('cuda: "13.0"', 'cuda: "12.1"', 5, "came with 12.6, 13.0, 13.2"),
        ("index: pypi", "index: cu130", 7, "comes from pypi"),
        ("index: pypi", "index: conda", 7, "pypi, or a variant of the PyTorch wheel index"),
        ('cuda: "13.0"', 'cuda: "13.2"', 7, "comes from cu132"),
        ("    toolkit_from: pypi\n", "    toolkit_from: conda\n", 9, "expected one of pypi, debian"),
        ("    toolkit_from: pypi\n", "", 2, "needs toolkit and toolkit_from"),
        ("cxx: 17", "cxx: 17\n    pins: numpy<2", 11, "pins: expected a list of requirements"),
        ('"13.0"\n    python', '\n    python', 5, "cuda: expected a single value"),
        ("download: 2800", "download: 2.8 GB", 13, "expected a whole number"),
        ("  - id: torch-2.14.1-cu130", "  - id: Torch 2.14", 2, "expected small letters"),
        ("pairs:", "pair:", 1, "unknown key 'pair', expected pairs"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_row(
    tmp_path: Path, old: str, new: str, line: int, words: str
) -> None:
    assert old in ROW
    with pytest.raises(matrix.MatrixError) as caught:
        read(tmp_path, ROW.replace(old, new, 1))
    assert str(caught.value).startswith(f"{tmp_path / 'matrix.yaml'}:{line}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "[", "pairs: []", "pairs: {}", "- a", "pairs:\n  - 3", "pairs: !!python/object:os.system x"],
)  # fmt: skip
def test_what_is_no_list(tmp_path: Path, text: str) -> None:
    with pytest.raises(matrix.MatrixError, match=r"matrix\.yaml:\d+: "):
        read(tmp_path, text)


def test_an_id_stands_once(tmp_path: Path) -> None:
    with pytest.raises(matrix.MatrixError, match="line 2 has this id already"):
        read(tmp_path, ROW + ROW.partition("\n")[2])


def test_a_cpu_row_has_no_toolkit(tmp_path: Path) -> None:
    text = ROW.replace('cuda: "13.0"', "cuda: none").replace("index: pypi", "index: cpu")
    with pytest.raises(matrix.MatrixError, match=r":8: .*toolkit has no meaning"):
        read(tmp_path, text)
    text = text.replace('    toolkit: "13.0"\n    toolkit_from: pypi\n', "")
    assert read(tmp_path, text)[0].cuda is None


def test_selecting() -> None:
    pairs = matrix.pairs()
    ci, full = matrix.select(pairs), matrix.select(pairs, tier="full")
    assert {pair.tier for pair in ci} == {"ci"}
    assert {pair.tier for pair in full} == {"ci", "full"}
    assert matrix.select(pairs, tier="extended") == pairs
    names = [pairs[3].id, pairs[1].id]
    assert [pair.id for pair in matrix.select(pairs, names)] == names[::-1]
    with pytest.raises(ValueError, match=r"no pair 'torch-9'; there are: torch-2\.14\.1-cu130"):
        matrix.select(pairs, ["torch-9"])


def test_every_pair_can_be_compiled_for() -> None:
    """The toolkit and the torch of every row have architectures in common, and its compiler is one that nvcc takes."""
    from dcnbuild.machine.compatibility import common_architectures, newest_compiler, torch_release

    for pair in matrix.pairs():
        if pair.cuda and pair.toolkit:
            release = torch_release(pair.torch)
            assert release is not None
            names = common_architectures(release.variants[pair.cuda], pair.toolkit)
            assert len(names) > 3, pair.id
            assert numbers(pair.toolkit)[0] == numbers(pair.cuda)[0]
            assert (pair.gcc or 0) <= (newest_compiler(pair.toolkit, "gcc") or 0), pair.id
