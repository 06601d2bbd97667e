"""What a build script takes from a Python, or tells a build, that has changed since."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from dcnbuild.port.edits import Edit
from dcnbuild.port.python.module import Module, PythonScope, dotted
from dcnbuild.port.python.setup_script import OLDEST, text_of, without_statements
from dcnbuild.port.rule import Rule

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


def _arch_list(module: Module, scope: PythonScope) -> Iterable[Edit]:
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


def _distutils(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """`from distutils.core import setup, Extension`, and the commands."""
    for node in module.nodes:
        if not isinstance(node, ast.ImportFrom) or node.level:
            continue
        successor = _SUCCESSORS.get(node.module or "")
        core = successor != "setuptools" or all(alias.name in _CORE for alias in node.names)
        tried = any(isinstance(parent, ast.Try) for parent in module.ancestors(node))
        if successor and core and not tried:
            start = module.start(node)
            at = module.text.index(node.module or "", start)
            yield Edit(at, at + len(node.module or ""), successor)


def _numpy_distutils(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """`numpy.distutils.misc_util.get_numpy_include_dirs()`, whose import goes with it."""
    uses = [
        node
        for node in module.nodes
        if isinstance(node, ast.Attribute)
        and dotted(node).startswith("numpy.distutils.")
        and not isinstance(module.parents[node], ast.Attribute)
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
        yield Edit(module.start(call), module.end(call), "[numpy.get_include()]")
    for node in module.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("numpy.distutils") and alias.asname is None:
                    yield Edit(module.start(alias), module.end(alias), "numpy")


RULES = (
    Rule(
        id="arch-list-variable",
        gone="CUDA 13 for what is older than sm_75",
        since="torch 1.0",
        pattern='os.environ["TORCH_CUDA_ARCH_LIST"] = "6.0;7.0"',
        replacement="nothing: what the user sets, or else the GPUs that are there, decide",
        before="import os\n\nos.environ['TORCH_CUDA_ARCH_LIST'] = '6.0;6.1;7.0+PTX'\n",
        after="import os\n\n",
        untouched=(
            "import os\n\nos.environ['TORCH_CUDA_ARCH_LIST'] = '7.5;8.0'\n",
            "import os\n\nos.environ['MAX_JOBS'] = '6.0'\n",
            "# os.environ['TORCH_CUDA_ARCH_LIST'] = '6.0'\n",
        ),
        rewrite=_arch_list,
        language="Python",
    ),
    Rule(
        id="distutils",
        gone="Python 3.12",
        pattern="from distutils.core import setup, Extension",
        replacement="from setuptools import setup, Extension",
        before="from distutils.core import setup, Extension\nfrom distutils.command.build_ext import build_ext\n",
        after="from setuptools import setup, Extension\nfrom setuptools.command.build_ext import build_ext\n",
        untouched=(
            "try:\n    from setuptools import setup\nexcept ImportError:\n    from distutils.core import setup\n",
            "from distutils.sysconfig import get_python_lib\n",
            "# from distutils.core import setup\n",
        ),
        why="setuptools lends Python 3.12 a distutils of its own, as long as it is installed.",
        rewrite=_distutils,
        language="Python",
    ),
    Rule(
        id="numpy-distutils",
        gone="Python 3.12",
        pattern="numpy.distutils.misc_util.get_numpy_include_dirs()",
        replacement="[numpy.get_include()]",
        before="import numpy.distutils.misc_util\n\nfolders = numpy.distutils.misc_util.get_numpy_include_dirs()\n",
        after="import numpy\n\nfolders = [numpy.get_include()]\n",
        untouched=(
            "import numpy.distutils.misc_util\n\nnumpy.distutils.misc_util.other()\n",
            "# numpy.distutils.misc_util.get_numpy_include_dirs()\n",
        ),
        rewrite=_numpy_distutils,
        language="Python",
    ),
)
