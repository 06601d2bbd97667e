"""Ports the Python files of a project."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from pathlib import PurePosixPath

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.cpp import not_understood
from dcnbuild.port.edits import Revision, line_of
from dcnbuild.port.python import environment, functions, libraries, methods, setup_script, six
from dcnbuild.port.python.module import Module, Modules, PythonScope, dotted, imported
from dcnbuild.port.result import Change, FileResult, Remark, remark
from dcnbuild.port.rule import Rule

_FAMILIES = (setup_script, environment, six, methods, libraries)
RULES: tuple[Rule, ...] = tuple(rule for family in _FAMILIES for rule in family.RULES)
#: A file without any of these has nothing to port.
TRIGGERS = re.compile("|".join(beside(__file__, "port.yaml")))
_ROUNDS = 500
#: Gone since torch 0.4 to 1.5.
_GONE_MODULES = re.compile(r"torch\.(?:_thnn|nn\._functions|legacy)(?:\.|$)")


class PythonProject:
    """The Python files of a project, and the Functions in them that are to be ported."""

    def __init__(self, sources: Mapping[PurePosixPath, tuple[str, str]]) -> None:
        self.sources = sources
        self.modules = Modules({path: text for path, (text, _) in sources.items()})
        holding = self.modules.holding("Function")
        found = [(f.node.name, f.signature) for _, module in holding for f in functions.old_functions(module)]
        signatures = dict(found)
        clashes = {name for name, signature in found if signature != signatures[name]}
        self.functions = {n: s for n, s in signatures.items() if n not in clashes}


def port_python(
    project: PythonProject,
    new_standard: bool,
    ffi_done: frozenset[PurePosixPath] = frozenset(),
    deprecated: bool = True,
) -> list[FileResult]:
    """Ports all files of a project; those that neither change nor have remarks are left out.

    Args:
        project: the files.
        new_standard: whether its sources include headers of torch that refuse C++17.
        ffi_done: the scripts that call torch.utils.ffi and whose place a setup.py takes.
        deprecated: whether to rewrite what still works, too.
    """
    rules = [rule for rule in RULES if deprecated or rule.need != "deprecated"]
    scope = PythonScope(project.functions, new_standard, any(project.modules.holding("torch.utils.ffi")))
    names = re.compile(rf"\b(?:{'|'.join(project.functions) or '(?!)'})\b")
    results = []
    for path, (text, encoding) in project.sources.items():
        if not TRIGGERS.search(text) and not names.search(text):
            continue
        module = project.modules[path]
        if isinstance(module, SyntaxError):
            syntax = remark("python-syntax", (module.lineno or 1,), reason=module.msg)
            results.append(FileResult(path, text, text, encoding, remarks=(syntax,)))
            continue
        new, changes, failed = port_module(module, scope, rules)
        left = (*failed, *_remarks(Module(new) if changes else module, scope))
        remarks = tuple(r for r in left if path not in ffi_done or r.id != "torch-utils-ffi")
        if changes or remarks:
            results.append(FileResult(path, text, new, encoding, tuple(changes), remarks))
    return results


def port_module(
    module: Module, scope: PythonScope, rules: Sequence[Rule] = RULES
) -> tuple[str, list[Change], list[Remark]]:
    """Ports one file: its text, what was changed, and which rules gave up."""
    revision = Revision(module.text)
    changes: list[Change] = []
    failed: list[Remark] = []
    for rule in rules:
        if rule.rewrite is None:
            raise ValueError(f"the Python rule {rule.id} has no rewrite")
        for _ in range(_ROUNDS):
            attempt = copy(revision)
            try:
                done = attempt.apply(rule.rewrite(module, scope))
                if not done:
                    break
                module = Module(attempt.text)
            except SyntaxError:
                break  # an unforeseen shape: what is left of it is in the remarks
            except Exception as error:
                failed.append(not_understood(rule.id, repr(error)))
                break
            before, revision = revision.text, attempt
            changes += [Change(rule.id, line, before[e.start : e.end].strip(), e.new.strip()) for e, line in done]
        else:
            failed.append(not_understood(rule.id, f"it still applies after {_ROUNDS} rounds"))
    return revision.text, changes, failed


def _remarks(module: Module, scope: PythonScope) -> Iterator[Remark]:
    """What is left in a ported file."""

    def left(id: str, nodes: Sequence[ast.AST], subject: str = "", name: str = "") -> Iterator[Remark]:
        if nodes:
            yield remark(id, (line_of(module.text, module.start(node)) for node in nodes), subject, name=name)

    old = (node for node in module.nodes if any(map(_GONE_MODULES.match, imported(node))))
    gone = [node for node in old if not six.guarded(module, node)]
    yield from left("torch-utils-ffi", [node for node in module.nodes if "torch.utils.ffi" in imported(node)])
    cffi = list(libraries.objects_of_cffi(module)) if scope.ffi else []
    yield from left("cffi-object", cffi, module.source(cffi[0])[:60] if cffi else "")
    yield from left("gone-module", gone, module.source(gone[0])[:60] if gone else "")
    known = functions.derived(module)
    for node in module.of(ast.ClassDef):
        if functions.is_old(node, known):
            yield from left("autograd-function", [node], f"class {node.name}")
    for call, _ in methods.old_calls(module, scope):
        yield from left("autograd-call", [call], module.source(call)[:60], dotted(call.func))
    asked = ((n, (dotted(getattr(n, "value", n)), getattr(n, "module", ""))) for n in module.nodes)
    yield from left("torch-six", [n for n, names in asked if "torch._six" in names and not six.guarded(module, n)])
    yield from libraries.left_cupy(module)
    if setup_script.is_build_script(module):
        calling = module.of(ast.Call) if "setup(" in module.text else ()
        asks = [node for node in calling if dotted(node.func).startswith("torch.cuda.get_device_")]
        yield from left("cxx-standard", setup_script.old_flags(module, scope))
        yield from left("build-asks-gpu", asks, dotted(asks[0].func) if asks else "")
