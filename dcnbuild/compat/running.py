"""Runs a script with the old names installed, in this process and in the processes that it spawns.

A process that multiprocessing spawns, or that a fork server makes, imports the parent's main module again. It takes
that module's name from `__main__.__spec__`. Here the name is `dcnbuild.compat.child`, which installs the names and runs
the script. The names to install are in the environment, which children inherit. multiprocessing itself is not changed,
so this works with torch.multiprocessing, DataLoader, joblib's loky and detectron2's launch.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import runpy
import sys
import zipfile
from dataclasses import asdict, dataclass
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from dcnbuild.compat.advice import add_note, advice
from dcnbuild.compat.importing import install

#: Holds a `Run` as JSON, in the environment of a script and of its children.
VARIABLE = "DCNBUILD_COMPAT_RUN"


@dataclass(frozen=True)
class Run:
    """The script or module to run, and the names to install.

    Attributes:
        target: a script's absolute path, or a module's full name.
        is_module: whether `target` is a module.
        names, without: as for `install`.
    """

    target: str
    is_module: bool
    names: tuple[str, ...]
    without: tuple[str, ...]


class _MainSpec(ModuleSpec):
    """A spec with the name of `dcnbuild.compat.child` and the package of the script or module."""

    def __init__(self, origin: str, package: str) -> None:
        super().__init__("dcnbuild.compat.child", None, origin=origin)
        self._package = package

    @property
    def parent(self) -> str:
        return self._package


def run_as_main(run: Run) -> None:
    """Runs it as `__main__`. The names must be installed. Raises the script's exceptions, and SystemExit without the
    module.
    """
    if not run.is_module and zipfile.is_zipfile(run.target):
        runpy.run_path(run.target, run_name="__main__")  # processes that it spawns do not have the names
        return
    os.environ[VARIABLE] = json.dumps(asdict(run))
    try:
        code, package = _load(run)
    except ImportError as error:
        if not _is_absent(run.target, error):
            raise  # raised inside a package of the target, which runpy imports first
        sys.exit(f"{sys.executable}: {error}")  # like `python -m`
    if run.is_module:
        sys.argv[0] = code.co_filename
    main = ModuleType("__main__")
    _prepare(vars(main), code, package)
    sys.modules["__main__"] = main
    try:
        exec(code, vars(main))
    except Exception as error:
        add_note(error, advice(error))
        raise


def run_in_child(namespace: dict[str, Any]) -> None:
    """Installs the names, and runs the parent's script in `namespace`, with the `__name__` there.

    Raises ImportError unless `python -m dcnbuild.compat` started this process or a parent of it.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        raise ImportError(
            f"dcnbuild.compat.child is for processes that a script under `python -m dcnbuild.compat` starts: "
            f"{VARIABLE} is "
            "not set"
        )
    fields = json.loads(text)
    run = Run(fields["target"], fields["is_module"], tuple(fields["names"]), tuple(fields["without"]))
    install(*run.names, without=run.without)
    code, package = _load(run)
    name = namespace["__name__"]
    namespace.clear()
    namespace["__name__"] = name
    _prepare(namespace, code, package)
    exec(code, namespace)


def _prepare(namespace: dict[str, Any], code: CodeType, package: str) -> None:
    import builtins

    namespace.update(
        __builtins__=builtins,
        __file__=code.co_filename,
        __cached__=None,
        __doc__=None,
        __loader__=None,
        __package__=package,
        __spec__=_MainSpec(code.co_filename, package),
    )


def _load(run: Run) -> tuple[CodeType, str]:
    """Returns the code to run and its package, "" for none."""
    if not run.is_module:
        with io.open_code(run.target) as file:
            return compile(file.read(), run.target, "exec"), ""
    if run.target.startswith("."):
        raise ModuleNotFoundError(f"{run.target}: give the module's full name", name=run.target)
    spec = importlib.util.find_spec(run.target)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = importlib.util.find_spec(f"{run.target}.__main__")
    loader = spec.loader if spec else None
    code = loader.get_code(spec.name) if spec and isinstance(loader, InspectLoader) else None
    if spec is None or code is None:
        raise ModuleNotFoundError(f"there is no module {run.target} that can be run", name=run.target)
    return code, spec.parent or ""


def _is_absent(target: str, error: ImportError) -> bool:
    """Whether the missing module is the target itself or one of its packages."""
    missing = error.name or ""
    return isinstance(error, ModuleNotFoundError) and f"{target}.".startswith(f"{missing}.")


def script_path(given: str) -> Path | None:
    """Returns the file to run for a script, or for a directory with a `__main__.py`; None if there is none."""
    path = Path(given).absolute()
    if path.is_dir():
        path = path / "__main__.py"
    return path if path.is_file() else None
