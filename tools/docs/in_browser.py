"""What docs/what-broke.md asks in the browser: the doctor's own functions, with JSON on both sides.

Runs in Pyodide, from the bundle that `tools.docs.browser` makes, and anywhere else.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from dcnbuild.doctor.logs import read_log
from dcnbuild.doctor.resolver import resolve
from dcnbuild.machine.elsewhere import with_gpu
from dcnbuild.machine.facts import Facts, Machine, Python

_BIN = Path("/usr/bin/python")


def findings(log: str) -> str:
    """The findings of a log, as a JSON list."""
    return json.dumps([dataclasses.asdict(finding) for finding in read_log(log)])


def which_torch(gpu: str, driver: str, python: str, wish: str) -> str:
    """The torch for a Linux machine on x86-64, as a JSON object; what is "" counts as not said.

    "label" names the wheel and "lines" installs it, "problem" says why there is none, and "rejected" why no
    newer one.
    """
    here = Python(python or "3.12", _BIN, Path("/usr"), Path("/usr"), on_path=_BIN)
    facts = Facts(Machine(system="Linux", architecture="x86_64"), here)
    try:
        facts = with_gpu(facts, gpu or None, driver or None)
        found = resolve(facts, wish or None)
    except ValueError as error:
        return json.dumps({"problem": str(error), "rejected": []})
    line = (found.line or "").replace("python -m pip", "pip")
    return json.dumps(
        {
            "label": found.wheel.label if found.wheel else "",
            "lines": [line, f"uv {line}"] if line else [],
            "problem": found.problem or "",
            "rejected": found.reasons(),
        }
    )
