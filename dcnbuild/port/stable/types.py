"""Types and constants: at::Tensor, at::kFloat, at::Half, at::IntArrayRef and their like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from dcnbuild.base.plain_yaml import beside
from dcnbuild.knowledge import torch_calls
from dcnbuild.port.code import Code
from dcnbuild.port.edits import Edit
from dcnbuild.port.rule import Scope, entries
from dcnbuild.port.stable.expressions import expressions
from dcnbuild.port.stable.facts import StableScope
from dcnbuild.port.stable.spans import tensor_before
from dcnbuild.port.stream import Stream

SPACES = frozenset({"at", "torch", "c10"})
#: What the stable ABI has for names of torch's unstable interface.
NAMES = beside(__file__, "names.yaml")
TYPES: dict[str, str] = NAMES["types"]
CONSTANTS: dict[str, str] = NAMES["constants"]
#: Names that `using namespace at` or torch makes visible, and that other rules look for.
_BEFORE_CALLS = frozenset({"return", "else", "case", "do", "and", "or", "not"})
_BARE = {*TYPES, *CONSTANTS, "TensorOptions"} - {"complex", "Layout", "Device", "toString"}


def renames(names: Mapping[str, str], spaces: frozenset[str] = SPACES) -> Callable[[Code, Scope], Iterable[Edit]]:
    """Writes the new name for `at::NAME`, `torch::NAME` and `c10::NAME`."""

    def rewrite(code: Code, scope: Scope) -> Iterable[Edit]:
        for stream, index in code.names("|".join(names)):
            if index < 2 or stream[index - 1].text != "::" or stream[index - 2].text not in spaces:
                continue
            first = index - 2
            if first >= 2 and stream[first - 1].text == "::" and stream[first - 2].kind == "name":
                continue  # of another namespace
            if first and stream[first - 1].text == "::":
                first -= 1
            yield stream.edit(first, index, names[stream[index].text])

    return rewrite


def opened(code: Code) -> Iterable[tuple[str, int, int]]:
    """Each `using namespace at;` and `using at::Tensor;`: the namespace, and the statement's span."""
    for stream, index in code.names("using"):
        words = [token.text for token in stream[index + 1 : index + 5]]
        whole = words[:1] == ["namespace"] and words[2:3] == [";"]
        named = words[1:2] == ["::"] and words[3:4] == [";"] and words[2] in TYPES
        space = words[1] if whole else words[0] if named else ""
        if space in SPACES:
            yield space, stream[index].start, stream[index + (3 if whole else 4)].end


def rewrite_stable_using_namespace(code: Code, scope: Scope) -> Iterable[Edit]:
    """`using namespace at;` goes, and what it or a tensor among the arguments made visible is written out."""
    used = set(scope_of(scope).opened)
    for space, start, end in opened(code):
        used.add(space)
        yield Edit(start, end, "")
    space = "torch" if "torch" in used else "at"
    known = expressions(code, scope_of(scope).signatures)
    for stream, index, spans, _ in code.calls(r"[a-z_]\w*"):
        name, last = stream[index].text, stream[index - 1] if index else None
        if last and (last.text in (".", "->", "::") or (last.kind == "name" and last.text not in _BEFORE_CALLS)):
            continue
        mine = name in scope.own or name in known.signatures or name in code.defined
        tensors = any(known.kind(stream, *span) in ("tensor", "tensors") for span in spans)
        found = next((s for s in ("at", "torch") if torch_calls.forms(f"{s}::{name}")), "")
        if not mine and ((found and tensors) or (used and name in NAMES["opened"]) or name in NAMES["typed"]):
            yield stream.before(index, f"{space if used else found or space}::")
    if not used:
        return
    for stream, index in code.names("|".join(sorted(_BARE))):
        before = stream[index - 1].text if index else ""
        own = stream[index].text in scope.own or stream[index].text.startswith("k") and used == {"c10"}
        member = before in (".", "->") and not _is_result(stream, index)
        if before not in ("::", "struct", "class") and not member and not own:
            yield stream.before(index, f"{space}::")


def _is_result(stream: Stream, index: int) -> bool:
    """Whether a name behind "->" is the type that a function or lambda returns."""
    behind = stream[index + 1].text if index + 1 < len(stream) else ""
    return index > 1 and stream[index - 2].text in (")", "mutable", "const", "noexcept") and behind in ("{", "&", "<")


def rewrite_stable_dtype(code: Code, scope: Scope) -> Iterable[Edit]:
    """`at::ScalarType::Float` keeps its enumerator, `x.dtype()` is its scalar type."""
    for stream, index in code.names("dtype"):
        if not (index and stream[index - 1].text in (".", "->") and stream.follows(index, "(", ")")):
            continue
        asked = tensor_before(code, stream, index)
        if asked and stream.words(index + 3, 4) == [".", "name", "(", ")"]:
            text = code.written(stream, asked[0], index)
            yield stream.edit(asked[0], index + 6, f"torch::headeronly::toString({text}scalar_type())")
        elif not stream.follows(index + 2, "."):  # else it is one of TensorOptions
            yield stream.edit(index, index, "scalar_type")


def scope_of(scope: Scope) -> StableScope:
    """The scope of a stable rule, which says more."""
    if not isinstance(scope, StableScope):
        raise TypeError("a stable rule needs a StableScope")
    return scope


rewrite_stable_constant = renames(CONSTANTS)
rewrite_stable_type = renames(TYPES)
rewrite_stable_optional = renames(NAMES["standard"])
rewrite_stable_complex = renames(NAMES["complex"], frozenset({"std"}))
RULES = entries(__file__, globals())
