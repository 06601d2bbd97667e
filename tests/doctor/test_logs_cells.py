"""Tests fixes in a notebook's cells and in a Dockerfile, where each command has a shell of its own."""

from __future__ import annotations

import pytest
from doctor.reading import findings

from dcnbuild.doctor.fixes import command, set_env, set_env_from, unset_env
from dcnbuild.doctor.fixes.fix import Fix, Target, render, together

HIDDEN = """ImportError: /opt/lib/python3.10/site-packages/nvidia/cusparse/lib/libcusparse.so.12: undefined symbol: \
__nvJitLinkComplete_12_4, version libnvJitLink.so.12"""
MANAGED = "error: externally-managed-environment"


@pytest.mark.parametrize(
    ("fix", "line"),
    [
        (set_env("A_B", "it's 1"), """import os; os.environ["A_B"] = "it's 1\""""),
        (unset_env("A_B"), 'import os; os.environ.pop("A_B", None)'),
        (set_env_from("A_B", "nproc"), "import os, subprocess; os.environ[\"A_B\"] = subprocess.getoutput('nproc')"),
        (command("pip", "check"), "%pip check"),
        (command("cd", "/w"), "%cd /w"),
        (command("lspci"), "!lspci"),
        (together([command("lspci")]), "!lspci"),
    ],
)
def test_a_cell(fix: Fix, line: str) -> None:
    assert render([fix], Target(form="cell")) == (line,)


def test_a_list_in_a_cell_keeps_what_it_had() -> None:
    fix = findings("In [1]:\nbash: nvcc: command not found")[0].fix
    (line,) = (line for line in fix if '"PATH"' in line)
    scope: dict[str, object] = {"PATH": "/bin"}
    exec(line.replace("import os; ", "").replace("os.environ", "PATHS"), {"PATHS": scope})
    assert scope["PATH"] == "/usr/local/cuda/bin:/bin"


def test_a_variable_that_the_notebook_sets() -> None:
    fix = findings(f"In [1]:\nos.environ['LD_LIBRARY_PATH'] = '/opt/lib'\n{HIDDEN}")[0].fix
    assert fix[0] == 'import os; os.environ.pop("LD_LIBRARY_PATH", None)'
    assert "restart the kernel" in fix[1]
    assert findings(HIDDEN)[0].fix[0] == "unset LD_LIBRARY_PATH"


def test_what_is_activated_in_a_dockerfile_lasts() -> None:
    assert findings(f'{MANAGED}\nERROR: failed to solve: process "/bin/sh -c pip3 install x" did not complete')[0].fix[
        1:3
    ] == (
        "RUN python3 -m venv /opt/venv",
        'ENV PATH=/opt/venv/bin:"$PATH"',
    )
    assert findings(MANAGED)[0].fix[-1] == ". venv/bin/activate"
    line = render([command("conda", "activate", "py311")], Target("dockerfile"))
    assert line == ('SHELL ["conda", "run", "-n", "py311", "/bin/bash", "-c"]',)
