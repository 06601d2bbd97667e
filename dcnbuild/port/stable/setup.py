"""setup.py and Python: the extension becomes a library of operators, a module of its name loads it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, Revision, line_of
from dcnbuild.port.python.module import Module, Modules, dotted
from dcnbuild.port.python.setup_script import text_of
from dcnbuild.port.result import Change, FileResult, Remark
from dcnbuild.port.stable import library
from dcnbuild.port.stable.abi import Target
from dcnbuild.port.stable.facts import StableScope

_KINDS = frozenset({"CppExtension", "CUDAExtension"})
#: What the library's file is called behind the name of the module that it was.
SUFFIX = "_library"
_DEFINED = "TORCH_TARGET_VERSION"
_LOADER: str = beside(__file__, "setup.yaml")["loader"]


@dataclass(frozen=True)
class Extension:
    """One extension of a setup.py.

    Attributes:
        script: the setup.py.
        name: as it is written, e.g. "package._C"; "" if it is no plain string.
        node: the call.
        sources: the plain strings in it.
    """

    script: PurePosixPath
    name: str
    node: ast.Call
    sources: tuple[str, ...]

    @property
    def done(self) -> bool:
        """Whether it has been ported already."""
        return self.name.endswith(SUFFIX) and _DEFINED in ast.dump(self.node)

    @property
    def module(self) -> str:
        """The module that users import."""
        return self.name.removesuffix(SUFFIX)

    @property
    def namespace(self) -> str:
        """Where its operators are: torch.ops.<this>."""
        return self.module.replace(".", "_")


def extensions(scripts: Mapping[PurePosixPath, str]) -> tuple[Extension, ...]:
    """The extensions that a project's setup.py files make."""
    setups = Modules({path: text for path, text in scripts.items() if path.name == "setup.py"})
    return tuple(
        _extension(path, node)
        for path, module in setups.holding("Extension")
        for node in module.of(ast.Call)
        if dotted(node.func) in _kinds(module)
    )


def _kinds(module: Module) -> set[str]:
    """What CppExtension and CUDAExtension are called in a file."""
    names = {dotted(n) for n in module.nodes if isinstance(n, ast.Attribute) and n.attr in _KINDS}
    names |= set(_KINDS)
    for node in module.nodes:
        if isinstance(node, ast.Assign) and dotted(node.value) in names:
            names |= {dotted(target) for target in node.targets}
        if isinstance(node, ast.ImportFrom):
            names |= {a.asname for a in node.names if a.name in _KINDS and a.asname}
    return names - {""}


def _extension(path: PurePosixPath, node: ast.Call) -> Extension:
    values = {k.arg: k.value for k in node.keywords}
    name = node.args[0] if node.args else values.get("name")
    sources = node.args[1] if len(node.args) > 1 else values.get("sources")
    strings = map(text_of, ast.walk(sources or ast.Constant(None)))
    return Extension(path, text_of(name) if name else "", node, tuple(filter(None, strings)))


def namespace(extensions: Sequence[Extension], path: PurePosixPath) -> str:
    """The namespace for the operators of a source; "" where it cannot be told."""
    owner = _owner(extensions, path)
    return owner.namespace if owner is not None else ""


def _owner(extensions: Sequence[Extension], path: PurePosixPath) -> Extension | None:
    named = [e for e in extensions if e.name]
    if len(extensions) == 1 and len(named) == 1:
        return named[0]
    mine = [e for e in named if any(path.as_posix().endswith(s.lstrip("./")) for s in e.sources)]
    if not mine:
        inside = [e for e in named if path.is_relative_to(e.script.parent)]
        mine = inside if len(inside) == 1 else []
    return mine[0] if len(mine) == 1 else None


def modules(
    codes: Mapping[PurePosixPath, Code], scope: StableScope, extensions: Sequence[Extension]
) -> dict[str, list[str]]:
    """Extension → the operators that its PYBIND11_MODULE becomes, in order."""
    found: dict[str, list[str]] = {}
    for path, code in codes.items():
        owner = _owner(extensions, path)
        if owner is None:
            continue
        for module in library.modules(code, scope):
            if module.macro == "PYBIND11_MODULE":
                names = [s.name for s in module.statements if s.schema]
                if names or not module.statements:
                    found.setdefault(owner.name, []).extend(names)
    return found


def port_setup(
    scripts: Mapping[PurePosixPath, str],
    extensions: Sequence[Extension],
    modules: Mapping[str, Sequence[str]],
    target: Target,
    cuda: bool,
) -> Iterator[FileResult]:
    """The setup.py files, and the modules that load what they build."""
    for path in dict.fromkeys(extension.script for extension in extensions):
        mine = [e for e in extensions if e.script == path]
        yield from _port(path, scripts[path], mine, modules, target, scripts, cuda)


def _port(
    path: PurePosixPath,
    text: str,
    mine: Sequence[Extension],
    modules: Mapping[str, Sequence[str]],
    target: Target,
    scripts: Mapping[PurePosixPath, str],
    cuda: bool,
) -> Iterator[FileResult]:
    module = Module(text)
    edits: list[Edit] = []
    remarks: list[Remark] = []
    added: list[str] = []
    for extension in mine:
        if extension.done:
            continue
        line = line_of(text, module.start(extension.node))
        if not extension.name:
            remarks.append(_remark(line, "its name is no plain string, so that nothing can load it"))
            continue
        names = modules.get(extension.name)
        edits += _call(module, extension, target, names is not None, cuda)
        if names is None:
            continue
        place, top = _place(path, extension.module, scripts)
        if place in scripts and "torch.ops.load_library" not in scripts[place]:
            remarks.append(_remark(line, f"{place} is there already, where a module would load it"))
            continue
        added += [extension.module] if top else []
        loader = _loader(extension, names)
        change = Change("stable-module", 1, "", f"the module {extension.module}, which loads the library")
        yield FileResult(place, "", loader, changes=(change,))
    if edits and added:
        edits += _py_modules(module, added)
    if edits:
        edits += _tag(module)
    revision = Revision(text)
    done = revision.apply(edits)
    changes = tuple(Change("stable-setup", at, text[e.start : e.end].strip(), e.new.strip()) for e, at in done)
    if changes or remarks:
        yield FileResult(path, text, revision.text, changes=changes, remarks=tuple(remarks))


def _remark(line: int, reason: str) -> Remark:
    advice = "give the library another name, and load it with torch.ops.load_library"
    return Remark("stable-setup", (line,), "Extension", reason, advice, "broken")


def _call(module: Module, extension: Extension, target: Target, rename: bool, cuda: bool) -> Iterator[Edit]:
    """The edits to the call that makes an extension."""
    node = extension.node
    values = {k.arg: k.value for k in node.keywords}
    name = node.args[0] if node.args else values["name"]
    if rename:
        written = module.source(name)
        yield Edit(module.end(name) - 1, module.end(name), f"{SUFFIX}{written[-1]}")
    macros = f'("{_DEFINED}", "{target.macro}")'
    if cuda:  # the shims for CUDA are declared behind it
        macros += ', ("USE_CUDA", None)'
    fresh, there = _DEFINED not in ast.dump(node), "define_macros" in values
    more = [f"define_macros=[{macros}]"] if fresh and not there else []
    if fresh and there:
        yield from _before(module, values["define_macros"], macros)
    if "py_limited_api" not in values:
        more.append("py_limited_api=True")
    if more:
        yield _further(module, node, *more)


def _before(module: Module, old: ast.expr, more: str) -> tuple[Edit, Edit]:
    """The edits that put further elements before those of a list."""
    start, end = module.start(old), module.end(old)
    return Edit(start, start, f"[{more}, *("), Edit(end, end, ")]")


def _further(module: Module, call: ast.Call, *words: str) -> Edit:
    """The edit that adds keywords to a call, on lines of their own where its last one has that."""
    nodes = [*call.args, *(k for k in call.keywords)]
    last = max(nodes, key=module.end)
    text, start = module.text, module.start(last)
    before = text[text.rfind("\n", 0, start) + 1 : start]
    gap = f"\n{before}" if before and not before.strip() else " "
    at = module.end(last)
    return Edit(at, at, "".join(f",{gap}{word}" for word in words))


def _place(path: PurePosixPath, name: str, scripts: Mapping[PurePosixPath, str]) -> tuple[PurePosixPath, bool]:
    """Where the module of a name belongs, and whether it is at top level."""
    parts = name.split(".")
    folder = path.parent
    if len(parts) > 1:
        roots = [folder, folder / "src", folder / "python", folder / "lib"]
        inner = PurePosixPath(*parts[:-1])
        found = next((r for r in roots if r / inner / "__init__.py" in scripts), folder)
        folder = found / inner
    return folder / f"{parts[-1]}.py", len(parts) == 1


def _loader(extension: Extension, names: Sequence[str]) -> str:
    last = extension.module.rpartition(".")[2] + SUFFIX
    lines = "".join(f"{name} = torch.ops.{extension.namespace}.{name}\n" for name in names if name.isidentifier())
    return _LOADER.format(module=extension.module, last=last, lines=lines)


def _setup_call(module: Module) -> ast.Call | None:
    calls = [n for n in module.nodes if isinstance(n, ast.Call) and dotted(n.func).rpartition(".")[2] == "setup"]
    return calls[-1] if calls else None


def _py_modules(module: Module, names: Sequence[str]) -> Iterator[Edit]:
    call = _setup_call(module)
    if call is None:
        return
    shown = ", ".join(f'"{name}"' for name in names)
    values = {k.arg: k.value for k in call.keywords}
    if "py_modules" in values:
        yield from _before(module, values["py_modules"], shown)
    else:
        yield _further(module, call, f"py_modules=[{shown}]")


def _tag(module: Module) -> Iterator[Edit]:
    """The wheel's tag: the library depends on no release of Python."""
    call = _setup_call(module)
    if call is None or any(k.arg in ("options", None) for k in call.keywords) or not call.keywords:
        return
    yield _further(module, call, 'options={"bdist_wheel": {"py_limited_api": "cp310"}}')


#: A module that has been written by an earlier run.
WRITTEN = re.compile(r"Written by `dcnbuild port --to stable`")
