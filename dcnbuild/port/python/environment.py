"""What a build script takes from a Python, or tells a build, that has changed since."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from dcnbuild.port.edits import Edit
from dcnbuild.port.python.module import Module, PythonScope, dotted
from dcnbuild.port.python.setup_script import OLDEST, text_of, without_statements
from dcnbuild.port.rule import entries, rewrites

_ARCH_LIST = "TORCH_CUDA_ARCH_LIST"
#: distutils module → the one of setuptools that has the same names.
_SUCCESSORS = {
    "distutils.core": "setuptools",
    "distutils.extension": "setuptools",
    "distutils.cmd": "setuptools",
    **{
        f"distutils.command.{name}": f"setuptools.command.{name}"
        for name in ("build_ext", "build_py", "install", "install_lib", "sdist", "build")
    },
}
_CORE = frozenset({"setup", "Extension", "Command", "Distribution"})


def rewrite_arch_list_variable(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """`os.environ["TORCH_CUDA_ARCH_LIST"] = "6.0;7.0"`, also by setdefault and putenv."""
    statements = [
        statement
        for statement, value in _settings(module)
        if any(int(a) * 10 + int(b) < OLDEST for a, b in re.findall(r"(\d+)\.(\d)", value))
    ]
    yield from without_statements(module, statements)


def _settings(module: Module) -> Iterator[tuple[ast.stmt, str]]:
    """The statements that set the list, with its value."""
    for node in module.nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            if (
                isinstance(target, ast.Subscript)
                and dotted(target.value) in ("os.environ", "environ")
                and text_of(target.slice) == _ARCH_LIST
            ):
                yield node, text_of(node.value)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            call = node.value
            setter = dotted(call.func) in ("os.environ.setdefault", "os.putenv")
            if setter and len(call.args) == 2 and text_of(call.args[0]) == _ARCH_LIST:
                yield node, text_of(call.args[1])


def rewrite_distutils(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """`from distutils.core import setup, Extension`, and the commands."""
    for node in module.of(ast.ImportFrom):
        successor = _SUCCESSORS.get(node.module or "") if not node.level else None
        core = successor != "setuptools" or all(alias.name in _CORE for alias in node.names)
        tried = any(isinstance(parent, ast.Try) for parent in module.ancestors(node))
        if successor and core and not tried:
            start = module.start(node)
            at = module.text.index(node.module or "", start)
            yield Edit(at, at + len(node.module or ""), successor)


def rewrite_numpy_distutils(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """`numpy.distutils.misc_util.get_numpy_include_dirs()`, whose import goes with it."""
    uses = [
        node
        for node in module.of(ast.Attribute)
        if dotted(node).startswith("numpy.distutils.") and not isinstance(module.parents[node], ast.Attribute)
    ]
    calls = [module.parents[node] for node in uses]
    known = all(
        isinstance(call, ast.Call)
        and not call.args
        and dotted(call.func) == "numpy.distutils.misc_util.get_numpy_include_dirs"
        for call in calls
    )
    if not uses or not known:
        return
    for call in calls:
        yield module.edit(call, "[numpy.get_include()]")
    for alias in (alias for node in module.of(ast.Import) for alias in node.names):
        if alias.name.startswith("numpy.distutils") and alias.asname is None:
            yield module.edit(alias, "numpy")


RULES = entries(__file__, rewrites(globals()))
