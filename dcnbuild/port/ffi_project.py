"""Writes what takes the place of torch.utils.ffi: a binding and a setup.py from the arguments of build.py."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

from dcnbuild.base.plain_yaml import beside
from dcnbuild.port.code import Code
from dcnbuild.port.edits import line_of
from dcnbuild.port.ffi import Extension, extensions, loads, ported_source
from dcnbuild.port.functions import Function
from dcnbuild.port.python.module import Modules, imported
from dcnbuild.port.result import Change, FileResult, Remark, remark
from dcnbuild.port.rule import entries

#: A path that can stand in an #include as it is.
_PLAIN = re.compile(r"[\w./+-]+")
_TEMPLATES = beside(__file__, "ffi_templates.yaml")
WRITTEN = "Written by `dcnbuild port` from the arguments of"
_REPLACED = re.compile(rf"# {WRITTEN} ['\"](.*)['\"]\.")
_FROM_C = 'extern "C" {{\n{}}}\n'
_OF_CUDA = re.compile(r'#include\s*[<"](?:ATen/cuda|c10/cuda|cuda)')
#: A lambda that runs on the GPU.
_LAMBDA = re.compile(r"\]\s*__(?:host|device)__")


def port_ffi(python: Modules, texts: Mapping[PurePosixPath, str], root: str) -> list[FileResult]:
    """New files: for each build script a binding of its headers' functions, and a setup.py for those of a package.

    Args:
        python: the project's Python files.
        texts: its C++ files, ported.
        root: the name of its directory, which is the package's where its files import each other relatively.

    Nothing for a build script that names sources which are not there, or whose package has a setup.py where ours
    would be, and nothing at all where a setup.py builds with torch already.
    """
    groups: dict[PurePosixPath, list[Extension]] = {}
    for extension in extensions(python):
        groups.setdefault(_package_root(extension.script.parent, python), []).append(extension)
    scripts = {path: text for path, text in python.texts.items() if path.name == "setup.py"}
    if any("cpp_extension" in text for text in scripts.values()):
        return []
    results = []
    for where, found in groups.items():
        bases = (PurePosixPath(), where)[len(groups) > 1 :]
        base = next((base for base in bases if base / "setup.py" not in scripts), None)
        results += [] if base is None else _package(python, texts, root, where, base, found)
    return results


def replaced_scripts(texts: Mapping[PurePosixPath, str]) -> frozenset[PurePosixPath]:
    """The build scripts whose place is taken by a setup.py that `port_ffi` wrote."""
    found = ((path, _REPLACED.match(text)) for path, text in texts.items() if path.name == "setup.py")
    return frozenset(path.parent / name for path, names in found if names for name in names[1].split(", "))


def _package(
    python: Modules,
    texts: Mapping[PurePosixPath, str],
    root: str,
    where: PurePosixPath,
    base: PurePosixPath,
    extensions: list[Extension],
) -> list[FileResult]:
    """The bindings of what stands in one package, and a setup.py in a directory."""
    named = root.isidentifier() and not keyword.iskeyword(root)
    package = root if named and PurePosixPath("__init__.py") in python.texts and not base.parts else ""
    tried = [(e.script, _extension(python, texts, package, base, e)) for e in extensions]
    made = [found for _, found in tried if found]
    left = {script for script, found in tried if not found}
    scripts = dict.fromkeys(script for script, _ in tried if script not in left)
    if not made:
        return []
    inside = str(where.relative_to(base))
    packages = f"find_packages({inside!r})"
    if package:
        packages = f"[{package!r}, *({package + '.'!r} + name for name in {packages})]"
    beside = (path for path in python.texts if path.parent == where and path not in {e.script for e in extensions})
    calls = [call for _, call in made]
    setup = _TEMPLATES["setup"].format(
        written=WRITTEN,
        scripts=", ".join(str(script.relative_to(base)) for script in scripts),
        name=extensions[0].name.split(".")[-1],
        where=inside,
        package=repr(package) if package else '""',
        packages=packages,
        modules=[] if package else sorted({path.stem for path in beside} - {"__init__", "setup"}),
        extensions="".join(f"{call},\n" for call in calls),
    )
    if any("CUDA_HOME" in call for call in calls):
        setup = setup.replace("import BuildExtension", "import CUDA_HOME, BuildExtension", 1)
    return [*(binding for bindings, _ in made for binding in bindings), _new(base / "setup.py", setup, "a setup.py")]


def _extension(
    python: Modules, texts: Mapping[PurePosixPath, str], package: str, base: PurePosixPath, extension: Extension
) -> tuple[list[FileResult], str] | None:
    """The binding of an extension, if its sources have none, and its call in the setup.py of a directory."""
    folder = extension.script.parent
    found = [_found(folder, name, texts) for name in extension.sources]
    found += [_kernel(folder, name, texts) for name in extension.extra_objects if name[0] != "/"]  # libraries
    headers = [path for name in extension.headers if (path := _found(folder, name, texts))]
    plain_names = all(_PLAIN.fullmatch(str(path)) and path.is_relative_to(folder) for path in headers)
    if not extension.sources or None in found or not plain_names:
        return None
    parts = [path for path in dict.fromkeys(found) if path is not None]
    on_gpu = {path for path in parts if path.suffix == ".cu" or _OF_CUDA.search(texts[path])}
    plain = [path for path in parts if path not in on_gpu] if extension.optional else parts
    codes = {path: Code(texts[path]) for path in (*headers, *parts)}

    def bound_in(headers: Iterable[PurePosixPath], sources: Iterable[PurePosixPath]) -> list[str]:
        return _functions([codes[path] for path in headers], [codes[path] for path in sources])

    functions, anywhere = bound_in(headers, parts), bound_in(headers, plain)
    bound = any("PYBIND11_MODULE" in texts[path] for path in parts)
    if not functions and not bound:  # macros make them
        return None
    both = bool(anywhere) and plain != parts
    there = {h: not both or bool(bound_in([h], plain)) for h in headers}
    defined = [(codes[path], function) for path in parts for function in codes[path].functions]
    # `extern "C"`, which the headers of a build script do not say
    around = ((c, f, c.live.around[c.live.at(f.start)]) for c, f in defined)
    c = {f.name for c, f, at in around if "extern" in f.specifiers or c.live.words(at - 2, 2) == ["extern", '"C"']}
    forms = {h: _FROM_C if c & set(bound_in([h], parts)) else "{}" for h in headers}
    text = _TEMPLATES["binding"].format(
        includes=_parted((forms[h].format(f'#include "{h.relative_to(folder)}"\n'), there[h]) for h in headers),
        functions=_parted((f'  m.def("{name}", &{name});\n', not both or name in anywhere) for name in functions),
    )
    binding = folder / f"{extension.name.split('.')[-1]}_binding.cpp"
    left = [*_pointers(text, (function for _, function in defined if function.name in functions))]
    unbound = _functions([codes[path] for path in headers], [codes[path] for path in parts], variadic=True)
    left += [remark("ffi-variadic", [1], f"{name}(…, ...)") for name in unbound]
    results = [] if bound else [replace(_new(binding, text, f"{len(functions)} functions"), remarks=tuple(left))]
    linked: dict[str, object] = {
        "libraries": list(extension.libraries),
        "library_dirs": _below(base, extension.library_dirs),
        "extra_link_args": list(extension.extra_link_args),
    }
    folders = sorted({str(path.parent) for path in (*headers, *parts)})
    nvcc = any(_LAMBDA.search(text) for path, text in texts.items() if folder in path.parents)
    passed = [flag for flag in extension.extra_compile_args if not flag.startswith(("-std=", "-D"))]
    if nvcc or passed:
        linked["extra_compile_args"] = {"cxx": passed, "nvcc": ["--extended-lambda"] * nvcc}
    call = partial(
        _TEMPLATES["extension"].format,
        name=_module_name(extension, python, package),
        includes=_below(base, dict.fromkeys([*folders, *extension.include_dirs])),
        more="".join(f"\n            {name}={values!r}," for name, values in linked.items() if values),
    )
    macros = dict(extension.macros)
    own = [result.path for result in results]
    made = call(
        kind="CUDAExtension" if on_gpu else "CppExtension",
        sources=_below(base, [*parts, *own]),
        macros=list((macros | {"WITH_CUDA": None} if both else macros).items()),
    )
    if both:
        given = [macro for macro in macros.items() if macro[0] != "WITH_CUDA"]
        other = call(kind="CppExtension", sources=_below(base, [*plain, *own]), macros=given)
        made += "\n        if CUDA_HOME\n        else " + other.lstrip()
    return results, made


def _below(base: PurePosixPath, paths: Iterable[str | PurePosixPath]) -> list[str]:
    """Paths as a script in a directory of the project names them."""
    found = map(PurePosixPath, paths)
    return [str(path.relative_to(base) if path.is_relative_to(base) else path) for path in found]


def _parted(lines: Iterable[tuple[str, bool]]) -> str:
    """Lines, those that need CUDA (False) last and under an #ifdef."""
    found = list(lines)
    cuda = "".join(line for line, anywhere in found if not anywhere)
    return "".join(line for line, anywhere in found if anywhere) + (cuda and f"#ifdef WITH_CUDA\n{cuda}#endif\n")


def project_file(setup: str) -> list[FileResult]:
    """A pyproject.toml that tells pip what a setup.py imports, if torch is among it."""
    path, known = PurePosixPath("pyproject.toml"), _TEMPLATES["needed"]
    nodes = (node for _, module in Modules({path: setup}).holding("torch") for node in module.nodes)
    found = {name.split(".")[0] for node in nodes for name in imported(node)}
    if "torch" not in found:
        return []
    requires = ", ".join(f'"{name}"' for name in ["setuptools", *(known[name] for name in sorted(found & set(known)))])
    text = _TEMPLATES["project"].format(requires=requires)
    return [replace(_new(path, text, ""), changes=(Change("build-requirements", 1, "", requires),))]


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


def _functions(headers: Iterable[Code], sources: Iterable[Code], variadic: bool = False) -> list[str]:
    """What the headers declare and the sources define: what takes `...`, or what does not."""
    functions = (function for code in sources for function in code.functions)
    defined = {f.name for f in functions if any(p.type == "..." for p in f.parameters) == variadic}
    uses = ((stream, i) for stream in (code.live for code in headers) for i in range(len(stream)))
    calls = ((stream, stream[i].text, stream.close_of(i)) for stream, i in uses if stream[i].text in defined)
    return list(dict.fromkeys(name for stream, name, close in calls if close > 0 and stream.follows(close, ";")))


def _pointers(binding: str, functions: Iterable[Function]) -> Iterator[Remark]:
    """A remark for each bound function that takes pointers to numbers."""
    for function in functions:
        taken = [p for p in function.parameters if "*" in p.type and not re.search(r"\b(?:char|void)\b", p.type)]
        if taken:
            line = line_of(binding, binding.index(f'"{function.name}"'))
            yield remark("ffi-pointer", [line], f"{taken[0].type} {taken[0].name} of {function.name}")


def _package_root(folder: PurePosixPath, python: Modules) -> PurePosixPath:
    """The directory that has to be on Python's path for the packages around a build script."""
    while folder.parts and folder / "__init__.py" in python.texts:  # "." is its own parent
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
