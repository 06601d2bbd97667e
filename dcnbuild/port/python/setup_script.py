"""setup.py: flags for the C++ standard, the C++ ABI and architectures."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from itertools import chain, groupby, pairwise

from dcnbuild.port.edits import Edit
from dcnbuild.port.python.module import Module, PythonScope
from dcnbuild.port.rule import entries
from dcnbuild.port.scripts import OLDEST, YEARS, raised_architectures, raised_standard

_STANDARD = re.compile(r"(?:--?std=|/std:)(?:c|gnu)\+\+(\w\w)")
_ARCHITECTURE = re.compile(
    r"(?:--?(?:gencode|generate-code|gpu-architecture|arch|gpu-code|code)[= ])?"
    r"(?:arch=)?\"?(?:compute|sm|lto)_\d+[af]?(?:,\s*code=\\?\"?\[?(?:(?:compute|sm|lto)_\d+[af]?,?)+\]?\\?\"?)?"
)
_BARE = re.compile(r"--?(?:gencode|generate-code|gpu-architecture|arch)")
#: nvcc's flags that hand the next one on to the compiler of the host.
_HANDS_ON = ("-Xcompiler", "--compiler-options")
_FLAG = re.compile(r"-|/|(?:arch|code)=|(?:sm|compute)_\d")


def is_build_script(module: Module) -> bool:
    """Whether a file builds torch extensions, ahead of time or at run time."""
    return any(word in module.text for word in ("cpp_extension", "CUDAExtension", "torch.utils.ffi"))


def text_of(node: ast.AST) -> str:
    """The value of a string constant, "" for anything else."""
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, str) else ""


def _elements(node: ast.AST) -> list[ast.expr]:
    """What stands in a list and its like."""
    return node.elts if isinstance(node, (ast.List, ast.Tuple, ast.Set)) else []


def _flags(module: Module, wanted: re.Pattern[str]) -> Iterator[ast.Constant]:
    """String constants that are nothing but flags, the wanted among them."""
    for node in module.of(ast.Constant):
        flags = wanted.search(text_of(node)) and all(map(_FLAG.match, text_of(node).split()))
        if flags and not isinstance(module.parents[node], ast.JoinedStr):
            yield node


def old_flags(module: Module, scope: PythonScope) -> list[ast.Constant]:
    """The -std flags of a build script that torch's headers refuse."""
    found = ((node, _STANDARD.search(text_of(node))) for node in _flags(module, _STANDARD))
    oldest = 20 if scope.new_standard else 17
    return [node for node, match in found if match and (YEARS.get(match[1]) or int(match[1])) < oldest]


def rewrite_cxx_standard(module: Module, scope: PythonScope) -> Iterable[Edit]:
    if is_build_script(module):
        yield from _without(module, list(_handed_on(module, old_flags(module, scope))), _STANDARD)
    elif _calls_compilers(module) and scope.new_standard:
        yield from _raised(module, old_flags(module, scope), raised_standard)


def _handed_on(module: Module, flags: Iterable[ast.Constant]) -> Iterator[ast.Constant]:
    """Flags, each with the `-Xcompiler` in front of it in a list: alone it would take the next one along."""
    for flag in flags:
        elements = _elements(module.parents[flag])
        before = elements[elements.index(flag) - 1] if flag in elements[1:] else None
        if isinstance(before, ast.Constant) and text_of(before) in _HANDS_ON:
            yield before
        yield flag


#: Compilers too old for C++17, which torch 2 needs, and C++20, which torch 2.13 does.
_OLD_COMPILER = re.compile(r"(?:\S*/)?g(?:cc|\+\+)-[4-9](?:\.\d)?")


def rewrite_host_compiler(module: Module, scope: PythonScope) -> Iterable[Edit]:
    """`'-ccbin', '/usr/bin/gcc-4.9'` in a list of flags."""
    for elements in map(_elements, module.nodes if is_build_script(module) else ()):
        named = ((f, v) for f, v in pairwise(elements) if text_of(f) in ("-ccbin", "--compiler-bindir"))
        old = (pair for pair in named if _OLD_COMPILER.fullmatch(text_of(pair[1])))
        yield from _without_elements(module, elements, set(chain.from_iterable(old)))


def _calls_compilers(module: Module) -> bool:
    """Whether a file passes flags to compilers without torch's help: there none may just go."""
    return any(word in module.text for word in ("nvcc", "ext_modules", "extra_compile_args"))


def _raised(module: Module, nodes: Iterable[ast.Constant], newer: Callable[[str], str]) -> Iterator[Edit]:
    return (module.edit(node, newer(module.source(node))) for node in nodes)


_ABI = re.compile(r"-D_GLIBCXX_USE_CXX11_ABI=0")


def rewrite_cxx11_abi(module: Module, scope: PythonScope) -> Iterable[Edit]:
    flags = _flags(module, _ABI) if is_build_script(module) else ()
    return _without(module, [node for node in flags if _ABI.fullmatch(text_of(node).strip())], _ABI)


def rewrite_arch_list(module: Module, scope: PythonScope) -> Iterable[Edit]:
    commands = (node for node in module.of(ast.Constant) if "nvcc " in text_of(node))
    yield from _raised(module, commands, raised_architectures)
    nodes = list(_flags(module, _ARCHITECTURE))
    numbers = [int(n) for node in nodes for n in re.findall(r"(?:sm|compute)_(\d+)", text_of(node))]
    if not is_build_script(module):
        yield from _raised(module, nodes if _calls_compilers(module) else (), raised_architectures)
    elif numbers and min(numbers) < OLDEST:
        bare = [node for node in _flags(module, _BARE) if _BARE.fullmatch(text_of(node).strip())]
        yield from _without(module, [*nodes, *bare], _ARCHITECTURE)


def _without(module: Module, nodes: Sequence[ast.Constant], flag: re.Pattern[str]) -> Iterator[Edit]:
    """The edits that take flags out of the lists, calls and longer strings they stand in."""
    alone = (text_of(node) in _HANDS_ON or bool(_BARE.fullmatch(text_of(node).strip())) for node in nodes)
    whole = {n for n, bare in zip(nodes, alone) if bare or not flag.sub("", text_of(n)).strip(" -")}
    appends: dict[ast.stmt, None] = {}
    for node in nodes:
        if node not in whole:
            written = module.source(node)
            new = re.sub(rf"(?<=['\"])(?:{flag.pattern})\s*|(?<!\s)\s*(?:{flag.pattern})", "", written)
            yield module.edit(node, new)
        elif not _elements(module.parents[node]):
            appends |= dict.fromkeys(_appends(module, node, whole))
    yield from without_statements(module, list(appends))
    for parent in dict.fromkeys(module.parents[node] for node in nodes if node in whole):
        yield from _without_elements(module, _elements(parent), whole)


def _appends(module: Module, node: ast.Constant, whole: Set[ast.expr]) -> Iterator[ast.stmt]:
    """The statement `flags.append(flag)`, also where the flag is one of two after an `if`."""
    value: ast.AST = node
    while isinstance(conditional := module.parents[value], ast.IfExp):
        if conditional.body not in whole or conditional.orelse not in whole:
            return
        value = conditional
    call = module.parents[value]
    statement = module.parents[call] if isinstance(call, ast.Call) else None
    if isinstance(statement, ast.Expr) and getattr(getattr(call, "func", None), "attr", "") == "append":
        yield statement


def _without_elements(module: Module, elements: Sequence[ast.expr], whole: Set[ast.expr]) -> Iterator[Edit]:
    """Each run of flags in a list, with its commas."""
    for is_flag, group in groupby(range(len(elements)), key=lambda i: elements[i] in whole):
        run = list(group)
        first, last = run[0], run[-1]
        start, end = module.start(elements[first]), module.end(elements[last])
        if last + 1 < len(elements):
            end = module.start(elements[last + 1])
        elif first:
            start = module.end(elements[first - 1])
        if is_flag:
            yield Edit(start, end, "")


def without_statements(module: Module, statements: Sequence[ast.stmt]) -> Iterator[Edit]:
    """The edits that take statements out; where nothing would stay in a block, `pass` does."""
    gone = set(map(id, statements))
    for statement in statements:
        block = module.block(statement)
        span = module.whole_lines(statement)
        if span is None or (statement is block[0] and all(id(s) in gone for s in block)):
            yield module.edit(statement, "pass")
        else:
            yield Edit(*span, "")


RULES = entries(__file__, globals())
