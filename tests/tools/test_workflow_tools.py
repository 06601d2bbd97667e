"""Tests that the programs which the workflows call understand what they are given; test_release.py runs the steps as
shell.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import CHECKOUT
from workflows import SCRIPTS, WORKFLOWS, steps

import dcnbuild

MATRIX = ({"machine": "x86_64", "cuda": "on"}, {"machine": "aarch64", "cuda": "off"})


def program(name: str) -> str:
    path = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


@pytest.mark.parametrize("wrong", [False, True])
def test_actionlint(wrong: bool, tmp_path: Path) -> None:
    """The workflows have no fault, and a workflow with three has them found: an expression, a quote, a job."""
    files = [str(path) for path in WORKFLOWS]
    if wrong:
        steps = "- run: echo ${{ github.evnt.x }}\n      - run: echo $X"
        files = [str(tmp_path / "wrong.yml")]
        Path(files[0]).write_text(
            f"on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    needs: b\n    steps:\n      {steps}\n"
        )
    command = [program("actionlint"), "-shellcheck", program("shellcheck"), *files]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT)
    found = set(re.findall(r'"evnt"|SC2086|needs job "b"', done.stdout))
    assert (done.returncode, len(found)) == ((1, 3) if wrong else (0, 0)), done.stdout


CIBUILDWHEEL = [(where, it["env"]) for where, it in steps() if "cibuildwheel" in it.get("run", "")]


def evaluated(text: str, values: dict[str, str]) -> str:
    """Replaces the expressions of a wheel's step, of which there are three kinds."""
    for key, value in values.items():
        text = text.replace("${{ matrix." + key + " }}", value)
    text = text.replace("${{ steps.cuda.outputs.CUDA_PATH }}", "/opt/cuda")
    choice = re.compile(r"\$\{\{ matrix\.cuda == 'on' && format\('(.+?)', .+?\) \|\| '(.+?)' \}\}")
    return choice.sub(lambda m: m[1].replace("{0}", "/opt/cuda") if values["cuda"] == "on" else m[2], text)


@pytest.mark.slow
@pytest.mark.parametrize("values", MATRIX, ids=lambda it: it["machine"])
@pytest.mark.parametrize(("where", "env"), CIBUILDWHEEL, ids=lambda it: str(it)[:20])
def test_cibuildwheel_reads_its_options(where: str, env: dict[str, str], values: dict[str, str]) -> None:
    options = pytest.importorskip("cibuildwheel.options", reason="cibuildwheel is not installed")
    if where.startswith("build-matrix") and values["machine"] != "x86_64":
        values = MATRIX[0]  # that job has no matrix
    given = {name: evaluated(text, values) for name, text in env.items()}
    assert not [text for text in given.values() if "${{" in text]
    arguments = options.CommandLineArguments.defaults()
    arguments.package_dir = CHECKOUT
    found = options.compute_options("linux", arguments, {**given, "SOURCE_DATE_EPOCH": "7"})
    identifier = f"cp312-manylinux_{values['machine']}"
    assert found.globals.build_selector(identifier)
    assert not found.globals.build_selector("cp313-manylinux_x86_64")
    built = found.build_options(identifier)
    assert built.build_frontend.name == "pip"
    assert list(built.build_frontend.args) == ["--no-build-isolation", "--no-deps"]
    assert "manylinux_2_28" in built.manylinux_images[values["machine"]]
    volumes = [it for it in built.container_engine.create_args if "/usr/local/cuda" in it]
    assert bool(volumes) == (values["cuda"] == "on")
    environment = built.environment.as_dictionary(prev_environment={})
    assert environment["DCNBUILD_CUDA"] == values["cuda"]
    assert "auditwheel repair" in built.repair_command
    if where.startswith("release-"):
        assert environment["SOURCE_DATE_EPOCH"] == "7"


@pytest.mark.slow
def test_cyclonedx_writes_the_bill_of_materials(tmp_path: Path) -> None:
    (step,) = [text for where, text in SCRIPTS.items() if where.startswith("release-sbom-")]
    (line,) = [line for line in step.splitlines() if "cyclonedx-py" in line]
    words = shlex.split(line)
    words = words[words.index("cyclonedx-py") :]
    program(words[0])
    environment = tmp_path / "installed"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (site,) = environment.glob("lib/python3*/site-packages")
    (site / "a-1.0.dist-info").mkdir()
    (site / "a-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: a\nVersion: 1.0\n")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([program(words[0]), *words[1:]], cwd=tmp_path, check=True, env=env)
    written: dict[str, Any] = json.loads((tmp_path / "sbom.cdx.json").read_text())
    assert written["bomFormat"] == "CycloneDX"
    assert [(it["name"], it["version"]) for it in written["components"]] == [("a", "1.0")]


def line_of(start: str, words: str) -> list[str]:
    """The words of the one line of a workflow that has these, from the program `start` on."""
    (line,) = {line for text in SCRIPTS.values() for line in text.splitlines() if words in line}
    found = shlex.split(line)
    return found[next(i for i, word in enumerate(found) if word.partition("==")[0].endswith(start)) :]


def test_uv_understands_what_it_is_told(tmp_path: Path) -> None:
    """It refuses to publish offline after it has read its options; one that it does not know ends it before."""
    words = line_of("uv", "uv==")[1:]
    (tmp_path / "dist").mkdir()
    files = ["dist/a-1.0-py3-none-any.whl", "dist/a-1.0.tar.gz"]
    for file in files:
        (tmp_path / file).touch()
    options = [word for word in words if not word.startswith("dist/")]
    command = [program("uv"), "--offline", *options]
    done = subprocess.run([*command, *files], cwd=tmp_path, capture_output=True, text=True)
    assert "offline" in done.stderr and "argument" not in done.stderr, done.stderr
    wrong = subprocess.run([*command, "--trusted-publishin", *files], cwd=tmp_path, capture_output=True, text=True)
    assert "unexpected argument" in wrong.stderr
    # it uploads the attestations that stand beside the files
    assert "--no-attestations" in subprocess.run([*command, "--help"], capture_output=True, text=True).stdout


def test_pypi_attestations_has_the_command() -> None:
    """Signing itself asks a network first."""
    words = line_of("pypi-attestations", "pypi-attestations==")[1:]
    for command, status in ((words[:-1], 0), (["sgn"], 2)):
        done = subprocess.run([program("pypi-attestations"), *command, "--help"], capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        assert ("FILE" in done.stdout) == (status == 0)


def test_the_wheels_step_asks_an_audit_that_there_is() -> None:
    words = line_of("dcnbuild", "dcnbuild audit")
    library = next((Path(dcnbuild.__file__).parent / "lib").glob("*.so"), None)
    if library is None:
        pytest.skip("this dcnbuild has no compiled library")
    options = [word for word in words[2:] if "wheelhouse" not in word]
    done = subprocess.run([sys.executable, "-m", "dcnbuild", "audit", str(library), *options], capture_output=True)
    # a library of another system's C library may be refused by 1; 2 is a command line that is not understood
    assert done.returncode in (0, 1), done.stderr


def test_the_programs_versions_are_those_that_are_tested() -> None:
    """`nox -s recipes` installs what the workflows run by pipx."""
    run = {
        requirement
        for text in SCRIPTS.values()
        for requirement in re.findall(r"pipx run (?:--spec )?([\w-]+==[\d.]+)", text)
    }
    assert len(run) == 4
    project = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    (extra,) = re.findall(r"^recipes = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert run <= set(re.findall(r'"(.+?)"', extra))


def test_actions_are_pinned_to_commits() -> None:
    used = [step["uses"] for _, step in steps() if "uses" in step]
    assert used
    assert not [it for it in used if not re.fullmatch(r"[\w.-]+(/[\w.-]+)+@[0-9a-f]{40}", it)]


def test_a_checkout_leaves_no_password_behind() -> None:
    checkouts = [step for _, step in steps() if "actions/checkout" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
