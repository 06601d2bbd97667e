"""Ports Python texts, and executes what came of it."""

from __future__ import annotations

import types
from pathlib import PurePosixPath

import torch

from dcnbuild.port.python.port import PythonProject, port_python
from dcnbuild.port.result import FileResult


def port_files(**texts: str) -> dict[str, FileResult]:
    """Ports modules that belong together; the results by module name."""
    sources = {PurePosixPath(f"{name}.py"): (text, "utf-8") for name, text in texts.items()}
    return {result.path.stem: result for result in port_python(PythonProject(sources), True)}


def execute(name: str, text: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__["torch"] = torch
    exec(compile(text, name, "exec"), module.__dict__)
    return module
