"""Tests small projects, one of each kind: porting cases/NAME/in must give cases/NAME/out.

python tests/port/test_cases.py  writes out/ again; review the changes in git.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dcnbuild.port.output import write_copy
from dcnbuild.port.project import Options, port_project

CASES = Path(__file__).with_name("cases")
NAMES = sorted(path.name for path in CASES.iterdir())
#: Those in which a bug is repaired.
BUGS = ("expanded-gradient",)


def ported(name: str) -> tuple[dict[str, str], bool]:
    """The files that porting a case changes or adds, and whether nothing that fails is left."""
    result = port_project(CASES / name / "in", Options(fix_bugs=name in BUGS))
    return {str(file.path): file.new for file in result.changed}, result.ok


@pytest.mark.parametrize("name", NAMES)
def test_it_becomes_what_it_should(name: str) -> None:
    out = CASES / name / "out"
    wanted = {p.relative_to(out).as_posix(): p.read_text() for p in out.rglob("*") if p.is_file()}
    assert ported(name) == (wanted, True)


@pytest.mark.parametrize("name", NAMES)
def test_twice_is_once(name: str, tmp_path: Path) -> None:
    options = Options(fix_bugs=name in BUGS)
    write_copy(CASES / name / "in", tmp_path / "new", port_project(CASES / name / "in", options).files)
    again = port_project(tmp_path / "new", options)
    assert again.changed == () and again.ok


if __name__ == "__main__":
    for case in NAMES:
        shutil.rmtree(CASES / case / "out", ignore_errors=True)
        for path, text in ported(case)[0].items():
            target = CASES / case / "out" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
