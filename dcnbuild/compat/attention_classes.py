"""Finds classes whose methods call another package's deformable attention, and lets them call dcnbuild's.

Such a class keeps everything else: its projections, masks and returned values. It is recognised by the functions that
its methods call, so its name does not matter, and subclasses are recognised too.
"""

from __future__ import annotations

import dis
import functools
from collections.abc import Iterator
from types import CellType, FunctionType, ModuleType
from typing import Any, cast

from torch import nn

from dcnbuild.compat.attention_functions import Attention
from dcnbuild.compat.attention_search import (
    code_names,
    code_of,
    looks_like_attention,
    of_callable,
    stand_in,
)

#: The number of calls that are followed: from a method to a function, a decorated function, a function that it calls.
_DEPTH = 3
#: Packages whose functions are not searched.
_NOT_THEIRS = ("torch", "builtins", "dcnbuild", "numpy", "typing", "functools")


class CallsOurs:
    """Marks a class that `calling_ours` made. Instances are pickled as the other package's class, and converted on
    loading.
    """

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
    changed = {name: ours for name, held in _held_by(kind) if (ours := _in_class(held)) is not None}
    if not changed:
        return None
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "_of": kind}
    return type(kind.__name__, (CallsOurs, kind), {**names, "__doc__": kind.__doc__, **changed})


def _held_by(kind: type) -> Iterator[tuple[str, Any]]:
    """Yields the members of the class and of its bases outside torch; of several with one name, the one that Python
    uses.
    """
    seen = set()
    for base in kind.__mro__:
        if not _is_theirs(base):
            continue
        for name, held in vars(base).items():
            if name not in seen:
                yield name, held
            seen.add(name)


def _in_class(held: Any) -> Any:
    """Returns the replacement of a method, static method, class method or functools.partial of a class; None for
    others.
    """
    if isinstance(held, staticmethod):
        ours = _replacement(held.__func__, set(), _DEPTH)
        return None if ours is None else staticmethod(ours)
    if isinstance(held, functools.partial):
        return _stand_in(held)
    function = held.__func__ if isinstance(held, classmethod) else held
    if not isinstance(function, FunctionType):
        return None
    if _ignores_first(function):
        whole = of_callable(function, skip=1)
        if whole is not None:
            return _method(whole)
    ours = rebound(function)
    if ours is function:
        return None
    return classmethod(ours) if isinstance(held, classmethod) else ours


def _ignores_first(function: FunctionType) -> bool:
    """Whether a method never reads `self`."""
    code = function.__code__
    if code.co_argcount == 0 or code.co_varnames[0] in code.co_cellvars:
        return False
    name = code.co_varnames[0]
    return not any(
        step.argval == name or (isinstance(step.argval, tuple) and name in step.argval)
        for step in dis.get_instructions(code)
        if "FAST" in step.opname
    )


def _method(ours: Attention) -> Any:
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        return ours(*args, **kwargs)

    return forward


@functools.cache
def rebound(function: FunctionType, depth: int = _DEPTH) -> FunctionType:
    """Returns the function with dcnbuild's attention in place of globals that are another attention; itself if it has
    none.

    It also searches the functions of its package, the modules and the static methods that it calls. A decorator's
    function has the decorated function in its closure.
    """
    names = code_names(function.__code__)
    others = {
        name: ours for name in names if (ours := _replacement(function.__globals__.get(name), names, depth)) is not None
    }
    cells = [_cell(cell, names, depth) for cell in function.__closure__ or ()]
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


def _replacement(found: Any, names: set[str], depth: int) -> Any:
    """Returns the replacement of a function, module or class, of which code uses the `names`; None if there is none."""
    ours: Any = _stand_in(found)
    if ours is not None or depth == 0:
        return ours
    if isinstance(found, FunctionType) and _is_theirs(found):
        inner = rebound(found, depth - 1)
        return None if inner is found else inner
    if isinstance(found, ModuleType) and _top(found.__name__) not in _NOT_THEIRS:
        others = _others(vars(found), names, depth)
        if not others:
            return None
        shadow = ModuleType(found.__name__, found.__doc__)
        vars(shadow).update({**vars(found), **others})
        return shadow
    if isinstance(found, type) and _is_theirs(found) and not issubclass(found, nn.Module):
        static = {n: held.__func__ for n, held in vars(found).items() if isinstance(held, staticmethod)}  # fmt: skip
        others = {n: staticmethod(f) for n, f in _others(static, names, depth).items()}
        return type(found.__name__, (found,), others) if others else None
    return None


def _others(held: dict[str, Any], names: set[str], depth: int) -> dict[str, Any]:
    return {
        name: ours for name in names & held.keys() if (ours := _replacement(held[name], names, depth - 1)) is not None
    }


def _cell(cell: CellType, names: set[str], depth: int) -> CellType:
    try:
        held = cell.cell_contents
    except ValueError:  # empty
        return cell
    ours = None if depth == 0 else _replacement(held, names, depth)
    return cell if ours is None else CellType(ours)


@functools.cache
def _known(found: Any) -> Attention | None:
    return stand_in(found)


def _stand_in(found: Any) -> Attention | None:
    """Returns the stand-in for another package's callable; None if there is none."""
    is_theirs = code_of(found) is not None or (isinstance(found, type) and _is_theirs(found))
    if isinstance(found, Attention) or not is_theirs:
        return None
    # Nothing else is kept: a bound method would keep its module.
    return _known(found) if isinstance(found, type | FunctionType) else stand_in(found)


def attributes_of_ours(module: nn.Module) -> dict[str, Attention]:
    """Returns attributes of a module that hold such a function, e.g. `self.ms_deformable_attn_core`, with their
    stand-ins.
    """
    return {name: ours for name, held in vars(module).items() if (ours := _stand_in(held)) is not None}


def unknown_attention(module: nn.Module) -> str | None:
    """Which function of a module samples like deformable attention, where no stand-in for it was found; None for
    none.
    """
    held = [*_held_by(type(module)), *vars(module).items()]
    for name, each in held:
        function = getattr(each, "__func__", each)
        if not isinstance(function, FunctionType):
            continue
        called = (function.__globals__.get(used) for used in code_names(function.__code__))
        for other in (function, *called):
            if isinstance(other, FunctionType) and _is_theirs(other) and looks_like_attention(other):  # fmt: skip
                return name if other is function else other.__name__
    return None


def _is_theirs(found: type | FunctionType) -> bool:
    return _top(_module(found)) not in _NOT_THEIRS


def _top(module: str) -> str:
    return module.partition(".")[0]


def _module(found: type | FunctionType) -> str:
    return found.__module__ or ""  # None if exec made it
