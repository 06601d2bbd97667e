"""Registration: PYBIND11_MODULE and TORCH_LIBRARY → STABLE_TORCH_LIBRARY, with schemas and TORCH_BOX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stable.facts import StableScope
from dcnbuild.port.stable.library import Module, Statement, modules
from dcnbuild.port.stable.spans import with_line
from dcnbuild.port.stable.types import NAMES, scope_of


def rewrite_stable_library(code: Code, scope: Scope) -> Iterable[Edit]:
    stable = scope_of(scope)
    for module in modules(code, stable):
        yield from _edits(code, stable, module)


def _edits(code: Code, scope: StableScope, module: Module) -> Iterator[Edit]:
    kept = [s for s in module.statements if s.reason]
    done = [s for s in module.statements if not s.reason]
    variable = module.variable
    if not kept and not done:  # it was there to be imported: the module in Python is, too
        yield Edit(*with_line(code.text, module.start, module.closing + 1), "")
    if not done:
        return
    if module.macro == "PYBIND11_MODULE":
        space = module.values[0] if module.values[0] != "TORCH_EXTENSION_NAME" else scope.library
        head = f"STABLE_TORCH_LIBRARY_FRAGMENT({space or module.values[0]}, {variable})"
    else:
        space = module.values[0]
        head = f"STABLE_{module.macro}({', '.join(module.values)})"
    wrapped = [(s.start, f"{s.wrapper}") for s in done if s.wrapper]
    wrappers = _under_conditions(code, module, wrapped).lstrip("\n") + "\n" if wrapped else ""
    open_line = code.text[module.start : module.opening]
    yield Edit(module.start, module.opening, f"{wrappers}{head} {{")
    is_impl = module.macro == "TORCH_LIBRARY_IMPL"
    for statement in module.statements:
        if is_impl and not statement.reason:
            yield Edit(statement.start, statement.end, _impl(variable, statement))
        elif statement.schema:
            new = f'{variable}.def("{_escaped(statement.schema)}");'
            yield Edit(statement.start, statement.end, new)
        else:
            yield Edit(*with_line(code.text, statement.start, statement.end), "")
    blocks = []
    if not is_impl:
        for key in dict.fromkeys(s.key for s in done if s.function):
            body = _body(code, module, key)
            blocks.append(f"\n\nSTABLE_TORCH_LIBRARY_IMPL({space or module.values[0]}, {key}, {variable}) {{{body}}}")
    if kept:
        rest = "".join(f"  {code.text[s.start : s.end]}\n" for s in kept)
        blocks.append(f"\n\n{open_line}\n{rest}}}")
    behind = module.closing + 1
    yield Edit(behind, behind, "".join(blocks))


def _body(code: Code, module: Module, key: str) -> str:
    """A module's body with the implementations of one key."""
    pieces = [(s.start, "  " + _impl(module.variable, s)) for s in module.statements if s.function and s.key == key]
    return _under_conditions(code, module, pieces) + "\n"


def _under_conditions(code: Code, module: Module, pieces: Sequence[tuple[int, str]]) -> str:
    """Texts that stand for statements of a module, under the #if lines that those are under."""
    lines = [d for d in code.layout.directives if module.opening <= d.start < module.closing]
    there = [(d.start, code.text[d.start : d.end].strip()) for d in lines]
    texts: list[str] = []
    for _, text in sorted([*there, *pieces]):
        if text.startswith("#endif") and texts and texts[-1].startswith("#if"):
            texts.pop()  # nothing stands between them
        else:
            texts.append(text)
    return "".join(f"\n{text}" for text in texts)


def _impl(variable: str, statement: Statement) -> str:
    return f'{variable}.impl("{statement.name}", TORCH_BOX({statement.function}));'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def rewrite_stable_pybind_name(code: Code, scope: Scope) -> Iterable[Edit]:
    """torch.ops has released the lock of Python already; errors of pybind11 are those of the standard library."""
    for stream, index in code.names("pybind11"):
        if stream.preceded(index, "namespace", "py", "=") and len(stream.places["py"]) == 1:
            yield Edit(*with_line(code.text, stream[index - 3].start, stream[index + 1].end), "")
    for stream, index in code.names("|".join(NAMES["pybind"])):
        if not stream.preceded(index, "py", "::") and not stream.preceded(index, "pybind11", "::"):
            continue
        start, end, new = stream.statement(index), stream.ends[index], NAMES["pybind"][stream[index].text]
        if new:
            yield stream.edit(index - 2, index, new)
        elif start == index - 2 and end > 0:
            yield Edit(*with_line(code.text, stream[start].start, stream[end].end), "")


RULES = entries(__file__, globals())
