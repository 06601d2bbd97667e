"""Writes what takes the place of torch.utils.ffi: a binding and a setup.py from the arguments of build.py."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from dcnbuild.base.plain_yaml import shipped
from dcnbuild.port.code import Code
from dcnbuild.port.ffi import Extension, extensions, loads, ported_source
from dcnbuild.port.pattern import follows
from dcnbuild.port.python.module import Module, Modules, imported
from dcnbuild.port.result import Change, FileResult
from dcnbuild.port.rule import entries

#: A path that can stand in an #include as it is.
_PLAIN = re.compile(r"[\w./+-]+")
_TEMPLATES = shipped(Path(__file__).with_name("ffi_templates.yaml"))
WRITTEN = "Written by `dcnbuild port` from the arguments of"
_FROM_C = 'extern "C" {{\n{}}}\n'
_OF_CUDA = re.compile(r'#include\s*[<"](?:ATen/cuda|c10/cuda|cuda)')
#: What a setup.py imports → what pip has to install for it.
_NEEDED = {"torch": "torch", "numpy": "numpy", "Cython": "cython", "pybind11": "pybind11"}


def port_ffi(python: Modules, texts: Mapping[PurePosixPath, str], root: str) -> list[FileResult]:
    """New files: for each build script a binding of its headers' functions, and one setup.py.

    Args:
        python: the project's Python files.
        texts: its C++ files, ported.
        root: the name of its directory, which is the package's where its files import each other relatively.

    Nothing where there is a setup.py already, or a build script names sources that are not there.
    """
    found = list(extensions(python))
    if not found or any(path.name == "setup.py" for path in python):
        return []
    roots = {_package_root(extension.script.parent, python) for extension in found}
    results, calls = [], []
    named = root.isidentifier() and not keyword.iskeyword(root)
    package = root if named and PurePosixPath("__init__.py") in python else ""
    for extension in found:
        folder = extension.script.parent
        sources = [_found(folder, name, texts) for name in extension.sources]
        kernels = [_kernel(folder, name, texts) for name in extension.objects]
        if len(roots) > 1 or not sources or None in (*sources, *kernels):
            return []
        headers = [path for name in extension.headers if (path := _found(folder, name, texts))]
        if not all(_PLAIN.fullmatch(str(path)) and path.is_relative_to(folder) for path in headers):
            return []
        parts = [path for path in dict.fromkeys((*sources, *kernels)) if path is not None]
        binding = folder / f"{extension.name.split('.')[-1]}_binding.cpp"
        plain = [path for path in parts if path.suffix != ".cu" and not _OF_CUDA.search(texts[path])]
        plain = plain if extension.optional else parts
        functions = _functions(headers, parts, texts)
        if not functions:  # macros make them
            return []
        anywhere = _functions(headers, plain, texts)
        both = bool(anywhere) and plain != parts
        there = {h: not both or bool(_functions([h], plain, texts)) for h in headers}
        c = _with_c_linkage(parts, texts)
        forms = {h: _FROM_C if c & set(_functions([h], parts, texts)) else "{}" for h in headers}
        text = _TEMPLATES["binding"].format(
            includes=_parted((forms[h].format(f'#include "{h.relative_to(folder)}"\n'), there[h]) for h in headers),
            functions=_parted((f'  m.def("{name}", &{name});\n', not both or name in anywhere) for name in functions),
        )
        results.append(_new(binding, text, f"{len(functions)} functions"))
        linked = (("libraries", extension.libraries), ("library_dirs", extension.library_dirs))
        call = partial(
            _TEMPLATES["extension"].format,
            name=_module_name(extension, python, package),
            includes=[*sorted({str(path.parent) for path in (*headers, *parts)}), *extension.include_dirs],
            more="".join(f"\n            {name}={list(values)!r}," for name, values in linked if values),
        )
        kind = "CUDAExtension" if kernels or any(_OF_CUDA.search(texts[p]) for p in parts) else "CppExtension"
        macros = dict(extension.macros)
        given = list((macros | {"WITH_CUDA": None} if both else macros).items())
        calls.append(call(kind=kind, sources=[str(path) for path in (*parts, binding)], macros=given))
        if both:
            given = [macro for macro in macros.items() if macro[0] != "WITH_CUDA"]
            other = call(kind="CppExtension", sources=[str(path) for path in (*plain, binding)], macros=given)
            calls[-1] += "\n        if CUDA_HOME\n        else " + other.lstrip()
    where = next(iter(roots))
    scripts = {extension.script for extension in found}
    packages = f"find_packages({str(where)!r})"
    if package:
        packages = f"[{package!r}, *({package + '.'!r} + name for name in {packages})]"
    modules = sorted(
        path.stem
        for path in python
        if not package and path.parent == where and path.stem != "__init__" and path not in scripts
    )
    setup = _TEMPLATES["setup"].format(
        written=WRITTEN,
        scripts=", ".join(str(extension.script) for extension in found),
        name=found[0].name.split(".")[-1],
        where=str(where),
        package=repr(package) if package else '""',
        packages=packages,
        modules=modules,
        extensions="".join(f"{call},\n" for call in calls),
    )
    if any("CUDA_HOME" in call for call in calls):
        setup = setup.replace("import BuildExtension", "import CUDA_HOME, BuildExtension", 1)
    return [*results, _new(PurePosixPath("setup.py"), setup, "a setup.py")]


def _parted(lines: Iterable[tuple[str, bool]]) -> str:
    """Lines, those that need CUDA (False) last and under an #ifdef."""
    found = list(lines)
    cuda = "".join(line for line, anywhere in found if not anywhere)
    return "".join(line for line, anywhere in found if anywhere) + (cuda and f"#ifdef WITH_CUDA\n{cuda}#endif\n")


def project_file(setup: str) -> list[FileResult]:
    """A pyproject.toml that tells pip what a setup.py imports, if torch is among it."""
    try:
        tree = Module(setup).tree
    except SyntaxError:
        return []
    found = {name.split(".")[0] for node in ast.walk(tree) for name in imported(node)}
    if "torch" not in found:
        return []
    needed = ["setuptools", *(_NEEDED[name] for name in sorted(found & set(_NEEDED)))]
    requires = ", ".join(f'"{name}"' for name in needed)
    text = _TEMPLATES["project"].format(requires=requires)
    path, rule = PurePosixPath("pyproject.toml"), "build-requirements"
    return [replace(_new(path, text, ""), changes=(Change(rule, 1, "", requires),))]


def _new(path: PurePosixPath, text: str, what: str) -> FileResult:
    return FileResult(path, "", text, changes=(Change("ffi-project", 1, "", what),))


def _found(folder: PurePosixPath, name: str, texts: Mapping[PurePosixPath, str]) -> PurePosixPath | None:
    """A file that a build script names; glue in C under its new name."""
    path = folder / name
    ported = [ported_source(path)] if path.suffix == ".c" else []
    return next((p for p in (*ported, path) if p in texts), None)


def _kernel(folder: PurePosixPath, name: str, texts: Mapping[PurePosixPath, str]) -> PurePosixPath | None:
    """The CUDA source that an object file was compiled from."""
    stem = PurePosixPath(name).name.split(".")[0]
    beside = [folder / name.removesuffix(".o"), (folder / name).with_name(f"{stem}.cu")]
    inside = [p for p in texts if p.stem == stem and p.suffix == ".cu" and folder in p.parents]
    return next((p for p in (*beside, *inside) if p in texts and p.suffix == ".cu"), None)


def _functions(
    headers: list[PurePosixPath], sources: list[PurePosixPath], texts: Mapping[PurePosixPath, str]
) -> list[str]:
    """What the headers declare and the sources define."""
    defined = {f.name for path in sources for f in Code(texts[path]).functions}
    declared: dict[str, None] = {}
    for path in headers:
        stream = Code(texts[path]).live
        for index, token in enumerate(stream[:-1]):
            close = stream.partner[index + 1] if stream[index + 1].text == "(" else -1
            if close > 0 and token.text in defined and follows(stream, close, ";"):
                declared[token.text] = None
    return list(declared)


def _with_c_linkage(sources: list[PurePosixPath], texts: Mapping[PurePosixPath, str]) -> set[str]:
    """The functions that sources define as `extern "C"`, which the headers of a build script do not say."""
    codes = [Code(texts[path]) for path in sources]
    return {f.name for code in codes for f in code.functions if "extern" in f.specifiers or _in_c_block(code, f.start)}


def _in_c_block(code: Code, offset: int) -> bool:
    stream = code.live
    around = stream.around[stream.at(offset)]
    return around > 1 and [token.text for token in stream[around - 2 : around]] == ["extern", '"C"']


def _package_root(folder: PurePosixPath, python: Modules) -> PurePosixPath:
    """The directory that has to be on Python's path for the packages around a build script."""
    while folder.parts and folder / "__init__.py" in python:  # "." is its own parent
        folder = folder.parent
    return folder


def _module_name(extension: Extension, python: Modules, root: str) -> str:
    """The name under which the project imports an extension; `root` is what the tree is called as a package."""
    folder = extension.script.parent
    for path, module in python.holding("_wrap_function"):
        for load, _, _ in loads(module):
            if f"_{extension.name.split('.')[-1]}" == load.module and folder in path.parents:
                inside = path.parent.relative_to(_package_root(folder, python)).parts
                return ".".join(filter(None, (root, *inside, load.module)))
    first = extension.name.split(".")[0]
    for path, module in python.holding(first):
        absolute = [node.module or "" for node in module.of(ast.ImportFrom) if not node.level]
        if folder in path.parents and any(name.split(".")[0] == first for name in absolute):
            return extension.name
    package = folder.relative_to(_package_root(folder, python)).parts
    return ".".join(filter(None, (root, *package, extension.name)))


RULES = entries(__file__)
