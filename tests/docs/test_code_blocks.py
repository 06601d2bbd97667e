"""Runs or checks every code block of README.md, CONTRIBUTING.md and docs/.

`run_page` runs the Python blocks of a page one after the other in one namespace. `shell_lines` checks shell without
running it, since most lines install something or need the reader's own files. findings.md, porting.md and
port-to-stable.md are generated from the checks and rules; their blocks are examples that the tests of those run. Other
C++ is quoted from csrc/. A block of another language needs a check here, or a comment that names the test that runs it.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from docs.blocks import CHECKOUT, Block, all_blocks, blocks_of
from hang import HANG

from docs import shell_lines
from tools.docs import findings as findings_document
from tools.docs import port_to_stable as port_to_stable_document
from tools.docs import porting as porting_document

BLOCKS = all_blocks()
GENERATED = {
    "docs/findings.md": findings_document.page,
    "docs/port-to-stable.md": port_to_stable_document.page,
    "docs/porting.md": porting_document.page,
}
SHELL = ("sh", "shell", "bash")


PYTHON_PAGES = sorted(
    {
        block.page
        for block in BLOCKS
        if block.language == "python" and block.page not in GENERATED and "tested by" not in block.notes
    }
)


#: The pages that a newcomer sees first; running the others takes a minute in all.
FIRST_PAGES = ("README.md", "docs/index.md")


@pytest.mark.parametrize(
    "page",
    [page if page in FIRST_PAGES else pytest.param(page, marks=pytest.mark.slow) for page in PYTHON_PAGES],
)
def test_python(page: str, tmp_path: Path) -> None:
    """Runs each page's Python in a process of its own, so that no page affects another."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("run_page.py")), page],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def check_shell(block: Block) -> None:
    assert shell_lines.check(block.text) > 0


def check_tree(block: Block) -> None:
    """A tree of files: each line begins with a name, two columns deeper than the directory it is in."""
    parents: dict[int, Path] = {0: CHECKOUT}
    for line in block.text.splitlines():
        match = re.match(r"( *)(\S.*?)(?:  |$)", line)
        assert match
        depth = len(match[1])
        if depth not in parents:  # the text of the line above goes on
            continue
        parents = {level: path for level, path in parents.items() if level <= depth}
        for name in match[2].split():
            path = parents[depth] / name
            assert path.exists(), f"{block}: there is no {path.relative_to(CHECKOUT)}"
        parents[depth + 2] = path


def check_quoted(block: Block) -> None:
    sources = "\n".join(
        re.sub(r"\s+", " ", path.read_text(encoding="utf-8")) for path in (CHECKOUT / "csrc").rglob("*.*")
    )
    for line in filter(None, map(str.strip, block.text.splitlines())):
        assert re.sub(r"\s+", " ", line) in sources, f"{block}: not in csrc/: {line}"


def check_toml(block: Block) -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 reads TOML")
    assert tomllib.loads(block.text)


CHECKS: dict[str, Callable[[Block], object]] = {
    **dict.fromkeys(SHELL, check_shell),
    "cpp": check_quoted,
    "cuda": check_quoted,
    "json": lambda block: json.loads(block.text),
    "toml": check_toml,
    "yaml": lambda block: yaml.safe_load(block.text),
    "tree": check_tree,
}


@pytest.mark.parametrize(
    "block",
    [
        block
        for block in BLOCKS
        if block.page not in GENERATED and block.language != "python" and "tested by" not in block.notes
    ],
    ids=str,
)
def test_other_languages(block: Block) -> None:
    check = CHECKS.get(block.language)
    assert check, (
        f"{block}: nothing runs or checks a block of {block.language or 'no language'}; give it one of "
        f"python, {', '.join(CHECKS)}, or say in a comment before it which test runs it (see blocks.py)"
    )
    check(block)


def test_tests_that_comments_name_exist() -> None:
    for block in BLOCKS:
        if "tested by" in block.notes:
            path, _, name = block.notes["tested by"].partition("::")
            tree = ast.parse((CHECKOUT / path).read_text(encoding="utf-8"))
            names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
            assert name in names and name.startswith("test_"), f"{block}: there is no {path}::{name}"


@pytest.mark.parametrize("page", GENERATED)
def test_written_pages(page: str) -> None:
    """What tests/doctor and tests/port run is what stands on these pages; their one block of shell is checked like any
    other.
    """
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    assert text == GENERATED[page]()
    blocks = blocks_of(text, page)
    assert blocks
    for block in blocks:
        if block.language in SHELL:
            check_shell(block)
        else:
            assert block.language in ("text", "cpp", "python")


def test_blocks_and_their_comments_are_found() -> None:
    page = (
        "a\n<!-- tested by: t.py::test_t -->\n<!-- before: x = 1\ny = 2 -->\n\n```python\nprint(x)\n```\n"
        "- item\n\n  ````md\n  ```sh\n  no block\n  ```\n  ````\n"
    )
    first, second = blocks_of(page, "p.md")
    assert first == Block("p.md", 7, "python", "print(x)\n", {"tested by": "t.py::test_t", "before": "x = 1\ny = 2"})
    assert (second.language, second.text, second.notes) == ("md", "```sh\nno block\n```\n", {})
    with pytest.raises(ValueError, match=r"p\.md:2: a fence that is never closed"):
        blocks_of("a\n```sh\nls\n", "p.md")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("dcnbuild docter", "no command"),
        ("dcnbuild doctor --logs build.log", "unrecognized arguments"),
        ("pip install '.[demos]'", "no extra demos"),
        ("pip install examples/nothing", "nothing at"),
        ("nox -s testing", "no session testing"),
        ("python examples/no.py", "no file"),
        ("python examples/psnr_pitfall.py --noise 3", "no option --noise"),
        ("torchrun --nproc-per-node=2 examples/sync_batchnorm.py --stepz 3", "no option --stepz"),
        ("python -m dcnbuild.nothing", "no module"),
        ("pytest tests/nothing", "no tests at"),
        ("make install", "make is neither"),
        ("dcnbuild info && nvcc -v", "not a known use of nvcc"),
        ('export A="$(dcnbuild path)"', "no command"),
    ],
)
def test_wrong_shell_lines_are_noticed(line: str, message: str) -> None:
    with pytest.raises(shell_lines.Wrong, match=re.escape(message)):
        shell_lines.check(f"pip install .\n{line}  # a comment\n")


def test_right_shell_lines_pass() -> None:
    text = "X=1 dcnbuild info --json | tee build.log; nox\n\npip install -v . 2>&1 | tee build.log\n"
    assert shell_lines.check(text) == 5
