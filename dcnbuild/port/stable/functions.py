"""Functions of at:: and torch:: over tensors: torch::stable's, or the dispatcher."""

from __future__ import annotations

from collections.abc import Iterable

from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit, disjoint
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stable.cuda import qualified
from dcnbuild.port.stable.expressions import expressions
from dcnbuild.port.stable.methods import FUNCTIONS
from dcnbuild.port.stable.operators import COMPOSED, OPERATORS, written
from dcnbuild.port.stable.types import scope_of


def rewrite_stable_function(code: Code, scope: Scope) -> Iterable[Edit]:
    yield from disjoint(_each(code, scope))


def _each(code: Code, scope: Scope) -> Iterable[list[Edit]]:
    stable = scope_of(scope)
    known = expressions(code, stable.signatures)
    for stream, index, spans, close in code.calls("|".join({*FUNCTIONS, *OPERATORS, *COMPOSED})):
        first = qualified(stream, index)
        if first < 0 or index - first not in (2, 3):
            continue
        values = [code.written(stream, *span) for span in spans]
        name = stream[index].text
        plain = len(values) - 1 in FUNCTIONS.get(name, ()) and name[-1] != "_" and name != "narrow"
        if plain and stable.target.has(name, "function"):
            yield [stream.edit(first, index, f"torch::stable::{name}")]
            continue
        new = written(name, known, code, stream, spans)
        if new:
            yield [stream.edit(first, close, new)]


RULES = entries(__file__, globals())
