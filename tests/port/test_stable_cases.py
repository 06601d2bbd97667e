"""Tests whole projects on their way to the stable ABI: stable_cases/NAME/in must give NAME/out.

python tests/port/test_stable_cases.py  writes out/ again; review the changes in git.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dcnbuild.port.output import write_copy
from dcnbuild.port.project import Options, port_project
from dcnbuild.port.result import ProjectResult
from dcnbuild.port.stable.abi import Target

CASES = Path(__file__).with_name("stable_cases")
NAMES = sorted(path.name for path in CASES.iterdir())
#: Those of which something is left: case → the ids of what is named.
LEFT = {
    "refused": {
        *(
            "stable-autograd",
            "stable-name",
            "stable-pybind",
            "stable-registration",
            "stable-scalar",
        ),
    }
}
TO_STABLE = Options(stable=Target())


def ported(name: str) -> ProjectResult:
    return port_project(CASES / name / "in", TO_STABLE)


def texts(result: ProjectResult) -> dict[str, str]:
    return {str(file.path): file.new for file in result.changed}


@pytest.mark.parametrize("name", NAMES)
def test_it_becomes_what_it_should(name: str) -> None:
    out = CASES / name / "out"
    result = ported(name)
    wanted = {p.relative_to(out).as_posix(): p.read_text() for p in out.rglob("*") if p.is_file()}
    assert texts(result) == wanted
    left = {r.id for file in result.files for r in file.remarks if r.need == "broken"}
    assert left == LEFT.get(name, set())
    assert result.ok == (not left)


@pytest.mark.parametrize("name", NAMES)
def test_twice_is_once(name: str, tmp_path: Path) -> None:
    write_copy(CASES / name / "in", tmp_path / "new", ported(name).files)
    again = port_project(tmp_path / "new", TO_STABLE)
    assert again.changed == ()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_left_has_a_line_a_reason_and_advice(name: str) -> None:
    for file in ported(name).files:
        for remark in file.remarks:
            assert remark.lines and remark.reason and remark.advice, remark


if __name__ == "__main__":
    for case in NAMES:
        shutil.rmtree(CASES / case / "out", ignore_errors=True)
        for path, text in texts(ported(case)).items():
            target = CASES / case / "out" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
