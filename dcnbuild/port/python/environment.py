"""What a build script takes from a Python, asks of the machine or tells a build, and what has changed since."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.edits import Edit, newline_of
from dcnbuild.port.python.module import Module, PythonScope, dotted
from dcnbuild.port.python.setup_script import OLDEST, text_of, without_statements
from dcnbuild.port.rule import entries

_ARCH_LIST = "TORCH_CUDA_ARCH_LIST"
_CONDITIONS = (ast.BoolOp, ast.UnaryOp, ast.Compare)
_TODAY = beside(__file__, "build_scripts.yaml")


def rewrite_cuda_gate(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """`torch.cuda.is_available()` as the question whether to build for CUDA."""
    if "CUDAExtension" not in module.text or "FORCE_CUDA" in module.text:
        return
    if not any(dotted(node.func).split(".")[-1] == "setup" for node in module.of(ast.Call)):
        return
    asking = (n for n in module.of(ast.Call) if dotted(n.func) in ("torch.cuda.is_available", "cuda.is_available"))
    ours = {call: [n for n in module.ancestors(call) if isinstance(n, _CONDITIONS)] for call in asking}
    calls = [call for call, asked in ours.items() if not any("hip" in module.source(n) for n in asked)]
    yield from (module.edit(call, "_cuda_wanted()") for call in calls)
    if calls:
        at = _behind_imports(module)
        yield Edit(at, at, f"\n\n{_TODAY['cuda_wanted']}".replace("\n", newline_of(module.text)))


def _behind_imports(module: Module) -> int:
    """Where the first imports of a file end, or its docstring, or the file begins."""
    at = 0
    for statement in module.tree.body:
        docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not docstring and not isinstance(statement, (ast.Import, ast.ImportFrom)):
            break
        at = (module.whole_lines(statement) or (0, module.end(statement)))[1]
    return at


def rewrite_arch_list_variable(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """`os.environ["TORCH_CUDA_ARCH_LIST"] = "6.0;7.0"`, also by setdefault and putenv."""
    numbers = ((statement, re.findall(r"(\d+)\.(\d)", value)) for statement, value in _settings(module))
    old = [statement for statement, found in numbers if any(int(a) * 10 + int(b) < OLDEST for a, b in found)]
    return without_statements(module, old)


def _settings(module: Module) -> Iterator[tuple[ast.stmt, str]]:
    """The statements that set the list, with its value."""
    for node in module.nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Subscript):
            item = node.targets[0]
            if dotted(item.value) in ("os.environ", "environ") and text_of(item.slice) == _ARCH_LIST:
                yield node, text_of(node.value)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            given = node.value.args
            setter = dotted(node.value.func) in ("os.environ.setdefault", "os.putenv")
            if setter and len(given) == 2 and text_of(given[0]) == _ARCH_LIST:
                yield node, text_of(given[1])


def rewrite_distutils(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """`from distutils.core import setup, Extension`, and the commands."""
    for node in module.of(ast.ImportFrom):
        old = node.module or ""
        successor = _TODAY["successors"].get(old) if not node.level else None
        core = successor != "setuptools" or all(alias.name in _TODAY["core"] for alias in node.names)
        if successor and core and not any(isinstance(parent, ast.Try) for parent in module.ancestors(node)):
            at = module.text.index(old, module.start(node))
            yield Edit(at, at + len(old), successor)


def rewrite_numpy_distutils(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """`numpy.distutils.misc_util.get_numpy_include_dirs()`, whose import goes with it."""
    attributes = (node for node in module.of(ast.Attribute) if dotted(node).startswith("numpy.distutils."))
    calls = [p for node in attributes if not isinstance(p := module.parents[node], ast.Attribute)]
    asked = "numpy.distutils.misc_util.get_numpy_include_dirs"
    if not calls or not all(isinstance(c, ast.Call) and not c.args and dotted(c.func) == asked for c in calls):
        return
    yield from (module.edit(call, "[numpy.get_include()]") for call in calls)
    for alias in (alias for node in module.of(ast.Import) for alias in node.names):
        if alias.name.startswith("numpy.distutils") and alias.asname is None:
            yield module.edit(alias, "numpy")


RULES = entries(__file__, globals())
