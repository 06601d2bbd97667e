"""Shared helpers of the porting tests."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from dcnbuild.port.code import Code
from dcnbuild.port.cpp import PortedText, port_text
from dcnbuild.port.python.module import Module, PythonScope
from dcnbuild.port.python.port import PythonProject, port_module
from dcnbuild.port.rule import Rule, Scope
from dcnbuild.port.rules import RULES
from dcnbuild.port.tree import Project

PROJECTS = Path(__file__).with_name("projects")


def scope_of(text: str, name: str = "source.cu", **others: str) -> Scope:
    """The scope of a text that stands in a project of its own, or beside other files."""
    texts = {PurePosixPath(name): text}
    texts |= {PurePosixPath(path.replace("__", ".")): other for path, other in others.items()}
    return Project(texts).scope(PurePosixPath(name))


def port_cpp(text: str, *rules: Rule, fix_bugs: bool = False, deprecated: bool = True, **others: str) -> PortedText:
    """Ports a text with these rules, or with all."""
    scope = scope_of(text, **others)
    code = Code(text)
    return port_text(code, scope, rules or RULES, deprecated=deprecated, fix_bugs=fix_bugs)


def port_py(text: str, new_standard: bool = True) -> str:
    """Ports a Python text that stands in a project of its own."""
    project = PythonProject({PurePosixPath("module.py"): (text, "utf-8")})
    return port_module(Module(text), PythonScope(project.functions, new_standard))[0]


def without_additions(before: str, after: str) -> str:
    """A ported text without the leading lines that only add includes and helpers."""
    assert after.endswith(before), after
    return after[: -len(before)]
