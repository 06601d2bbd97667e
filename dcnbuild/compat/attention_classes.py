"""Finds classes whose methods call another package's deformable attention, and lets them call dcnbuild's.

Such a class keeps everything else: its projections, masks and returned values. It is recognised by the functions that its
methods call, so its name does not matter, and subclasses are recognised too.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import CellType, CodeType, FunctionType
from typing import Any, cast

from torch import nn

from dcnbuild.compat.attention_functions import Attention, agrees, by_arguments, stand_in


class CallsOurs:
    """Marks a class that `calling_ours` made. Instances are pickled as the other package's class, and converted on loading."""

    _of: type[nn.Module]

    def __reduce_ex__(self, protocol: Any) -> Any:
        _, _, *state = cast("tuple[Any, ...]", super().__reduce_ex__(protocol))
        return (_new, (self._of,), *state)


def _new(kind: type[nn.Module]) -> nn.Module:
    ours = calling_ours(kind) or kind
    made: nn.Module = ours.__new__(ours)
    return made


#: Class → the class that calling_ours made for it, or None if it calls no attention.
_made: dict[type, type[nn.Module] | None] = {}


def calling_ours(kind: type[nn.Module]) -> type[nn.Module] | None:
    """Makes a copy of class `kind` whose methods call dcnbuild's attention; None if no method calls one."""
    if kind not in _made:
        _made[kind] = None if issubclass(kind, CallsOurs) else _make(kind)
    return _made[kind]


def _make(kind: type[nn.Module]) -> type[nn.Module] | None:
    whole = _whole(kind)
    if whole is not None:
        changed: dict[str, Any] = {"forward": _method(whole)}
    else:
        changed = {}
        for name, method in _methods(kind):
            ours = rebound(method)
            if ours is not method:
                changed[name] = ours
    if not changed:
        return None
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "_of": kind}
    return type(kind.__name__, (CallsOurs, kind), {**names, "__doc__": kind.__doc__, **changed})


def _methods(kind: type) -> Iterator[tuple[str, FunctionType]]:
    """Yields the functions of the class and of its bases outside torch; of several with one name, the one that Python calls."""
    seen = set()
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] in ("torch", "builtins", "dcnbuild"):
            continue
        for name, method in vars(base).items():
            if isinstance(method, FunctionType) and name not in seen:
                yield name, method
            seen.add(name)


def _whole(kind: type[nn.Module]) -> Attention | None:
    """Returns the stand-in for a class that only wraps the function, such as transformers' MultiScaleDeformableAttention."""
    if kind.__init__ is not nn.Module.__init__ or not isinstance(kind.forward, FunctionType):
        return None
    ours = by_arguments(kind.forward, skip=1)
    return ours if ours is not None and agrees(ours, kind().forward) else None


def _method(ours: Attention) -> Any:
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        return ours(*args, **kwargs)

    return forward


def rebound(function: FunctionType, depth: int = 3) -> FunctionType:
    """Returns the function with dcnbuild's attention in place of globals that are another attention; itself if it has none.

    It looks into closures too, since a decorator's function holds the decorated function there.
    """
    others = {
        name: ours
        for name in _global_names(function.__code__)
        if (ours := _stand_in(function.__globals__.get(name))) is not None
    }
    cells = [_cell(cell, depth) for cell in function.__closure__ or ()]
    if not others and all(new is old for new, old in zip(cells, function.__closure__ or ())):
        return function
    # Without a __name__: torch.compile would look names up in the module of that name instead.
    namespace = {key: value for key, value in function.__globals__.items() if key != "__name__"}
    made = FunctionType(
        function.__code__,
        {**namespace, **others} if others else function.__globals__,
        function.__name__,
        function.__defaults__,
        tuple(cells) or None,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__module__, made.__qualname__ = function.__module__, function.__qualname__
    made.__dict__.update(function.__dict__)
    return made


def _cell(cell: CellType, depth: int) -> CellType:
    try:
        held = cell.cell_contents
    except ValueError:  # empty
        return cell
    if depth == 0 or not isinstance(held, FunctionType):
        return cell
    ours = rebound(held, depth - 1)
    return cell if ours is held else CellType(ours)


def _global_names(code: CodeType) -> set[str]:
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_global_names, inner))


@functools.cache
def _known(found: Any) -> Attention | None:
    return stand_in(found)


def _stand_in(found: Any) -> Attention | None:
    if not isinstance(found, type | FunctionType) or _module(found).startswith("dcnbuild."):
        return None
    return _known(found)


def attributes_of_ours(module: nn.Module) -> dict[str, Attention]:
    """Returns attributes of a module that hold such a function, e.g. `self.ms_deformable_attn_core`, with their stand-ins."""
    return {
        name: ours
        for name, held in vars(module).items()
        if isinstance(held, FunctionType) and (ours := _stand_in(held)) is not None
    }


def _module(found: type | FunctionType) -> str:
    return found.__module__ or ""  # None if exec made it
