"""Drives a headless Chromium over a built site, for the checks of its pages."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def missing() -> str | None:
    """Why no browser can be driven here, or None if one can."""
    if _chromium() is None:
        return "there is no Chromium"
    return None if shutil.which("node") else "there is no node"


def drive(script: Path, site: Path, out: Path, given: str, seconds: float) -> dict[str, Any]:
    """What a script of node sees in Chromium; `given` is its input, and its screenshots go to `out`.

    Raises RuntimeError with what it said if it fails, subprocess.TimeoutExpired after so many seconds.
    """
    chromium, node = _chromium(), shutil.which("node")
    assert chromium and node  # see `missing`
    out.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [node, str(script), chromium, str(site), str(out)],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    if done.returncode:
        raise RuntimeError(f"{script.name} failed in {chromium}: {done.stderr.strip()[-2000:]}")
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def _chromium() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)
