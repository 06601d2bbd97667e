"""Recognises functions of deformable attention, and the roles of their arguments, by their results for examples.

Names of arguments are only hints. The output and the gradients decide, for one level and several, samples far outside,
and weights that do not add up to one.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor, nn

from dcnbuild.compat.attention_examples import agrees
from dcnbuild.compat.attention_functions import NEEDED, SHAPES, Argument, Attention

#: role of an argument → its usual names.
_ROLES = {
    "value": r"value|input_value",
    "shapes": r"\w*spatial_shapes?",
    "shapes_list": r"\w*spatial_shapes?_list",
    "starts": r"\w*level_start_ind\w*",
    "locations": r"sampling_loc\w*",
    "weights": r"att(entio)?n_weights?",
    "points": r"num_points_list",
    "method": r"method",
    "step": r"im2?g?2?col_step",
}
#: Matches the name of an autograd.Function of the attention.
_FUNCTION_NAME = re.compile(r"(?i)deform\w*att")
#: Matches names that code for the attention calls, in plain torch or by an extension.
_SAMPLES = re.compile(r"grid_sample\w*|\w*deform\w*att\w*")
#: The largest number of assignments of roles that are tried on one function.
_TRIES = 800


def stand_in(found: Any) -> Attention | None:
    """Returns the stand-in for a function of deformable attention; None for any other object.

    Args:
        found: a function, a functools.partial, a bound method, a callable object, or an autograd.Function.
    """
    if isinstance(found, FunctionType):  # nothing is compiled for an example
        found = vars(found).get("_torchdynamo_orig_callable", found)
    if isinstance(found, type) and issubclass(found, torch.autograd.Function):
        ours = by_names(found.apply, _parameters(found.forward)[1:])
        if ours is None or not _FUNCTION_NAME.search(found.__name__):
            return None
        # Most cannot run without their extension.
        return ours if agrees(ours) is not False else None
    return of_callable(found) if code_of(found) is not None else None


def of_callable(found: Callable[..., Any], skip: int = 0) -> Attention | None:
    """Returns the stand-in for a function that ignores its first `skip` arguments, such as a method that ignores
    `self`.
    """
    theirs = functools.partial(found, *[None] * skip) if skip else found
    parameters = _parameters(theirs)
    named = by_names(theirs, parameters)
    if named is not None and agrees(named):
        return named
    if not may_sample(found):
        return None
    return next((ours for ours in _guesses(theirs, parameters) if agrees(ours)), None)


def may_sample(found: Any, depth: int = 2) -> bool:
    """Whether the code of a function, or of one that it calls, has a name of sampling code; others are not run."""
    function = code_of(found)
    if function is None:
        return False
    names = code_names(function.__code__)
    if any(_SAMPLES.fullmatch(name) for name in names):
        return True
    called = (function.__globals__.get(name) for name in names) if depth else ()
    return any(may_sample(each, depth - 1) for each in called)


def code_of(found: Any) -> FunctionType | None:
    """Returns the Python function that a call runs, if it is neither torch's nor ours; else None."""
    if isinstance(found, functools.partial):
        return code_of(found.func)
    if isinstance(found, MethodType):
        return code_of(found.__func__)
    if isinstance(found, FunctionType):
        home = (found.__module__ or "").partition(".")[0]
        return None if home in ("torch", "dcnbuild") else found
    if isinstance(found, type | nn.Module):
        return None
    call = inspect.getattr_static(type(found), "__call__", None)
    return code_of(call) if isinstance(call, FunctionType) else None


def code_names(code: CodeType) -> set[str]:
    """Returns the names of globals and attributes in code, including functions inside it."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(code_names, inner))


def looks_like_attention(function: FunctionType) -> bool:
    """Whether a function samples itself and has variables with the attention's names, so that a report must name it."""
    roles = {_named(name) for name in function.__code__.co_varnames}
    return len(roles & (NEEDED | SHAPES)) >= 3 and may_sample(function, depth=0)


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []


def _named(name: str) -> str | None:
    known = [role for role, pattern in _ROLES.items() if re.fullmatch(pattern, name)]
    return known[-1] if known else None


def _argument(parameter: inspect.Parameter, role: str) -> Argument:
    needed = parameter.default is parameter.empty
    by_name = parameter.kind is parameter.KEYWORD_ONLY
    return Argument(parameter.name, role, by_name, needed, None if needed else parameter.default)


def _bound_sizes(theirs: Callable[..., Any]) -> tuple[tuple[int, int], ...] | None:
    """Returns the levels that a functools.partial has bound, as pairs of ints among its arguments."""
    if not isinstance(theirs, functools.partial):
        return None
    for value in (*theirs.args, *theirs.keywords.values()):
        pairs = value.tolist() if isinstance(value, Tensor) and value.dim() == 2 else value
        if isinstance(pairs, Sequence) and pairs and all(map(_is_size, pairs)):
            return tuple((height, width) for height, width in pairs)
    return None


def _is_size(pair: Any) -> bool:
    return isinstance(pair, Sequence) and [type(side) for side in pair] == [int, int]


def _fixed(theirs: Callable[..., Any]) -> set[str]:
    """Returns the names that a functools.partial has bound. A call that gives one again goes to the other function."""
    return set(theirs.keywords) if isinstance(theirs, functools.partial) else set()


def by_names(theirs: Callable[..., Any], parameters: list[inspect.Parameter]) -> Attention | None:
    """Returns the stand-in that fits the arguments' names; None if the name of a needed argument is unknown."""
    arguments = []
    fixed, sizes = _fixed(theirs), _bound_sizes(theirs)
    singles = _singles(parameters)
    for parameter in singles:
        role = None if parameter.name in fixed else _named(parameter.name)
        if role is None and parameter.default is parameter.empty:
            return None
        arguments.append(_argument(parameter, role or "other"))
    return _complete(theirs, arguments, sizes, len(singles) < len(parameters))


def _singles(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    return [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def _complete(
    theirs: Callable[..., Any],
    arguments: list[Argument],
    sizes: tuple[tuple[int, int], ...] | None,
    more: bool,
) -> Attention | None:
    roles = [argument.role for argument in arguments if argument.role != "other"]
    whole = len(set(roles)) == len(roles) and set(roles) >= NEEDED
    if not whole or (sizes is None and not SHAPES & set(roles)):
        return None
    return Attention(tuple(arguments), theirs, None if SHAPES & set(roles) else sizes, more)


def _guesses(theirs: Callable[..., Any], parameters: list[inspect.Parameter]) -> Iterator[Attention]:
    """Yields assignments of roles to the needed arguments; those that fit the names come first."""
    singles = _singles(parameters)
    needed = [p for p in singles if p.default is p.empty]
    yield from _orders(theirs, parameters, needed)
    given = [p for p in singles if p.default in (p.empty, None)]
    if len(given) > len(needed):
        yield from _orders(theirs, parameters, given)


def _orders(
    theirs: Callable[..., Any],
    parameters: list[inspect.Parameter],
    needed: list[inspect.Parameter],
) -> Iterator[Attention]:
    """Yields the assignments of roles to the arguments in `needed`; the others are options."""
    singles, sizes = _singles(parameters), _bound_sizes(theirs)
    first = ("value", "locations", "weights") if sizes else ("value", "shapes", "locations", "weights")
    more = ("starts", "step", "shapes_list", "points")
    extra = len(needed) - len(first)
    if not 0 <= extra <= len(more):
        return
    orders = (
        order for chosen in itertools.combinations(more, extra) for order in itertools.permutations((*first, *chosen))
    )

    def strangers(order: tuple[str, ...]) -> int:
        named = [_named(parameter.name) for parameter in needed]
        return sum(a is not None and a != b for a, b in zip(named, order))

    for order in itertools.islice(sorted(orders, key=strangers), _TRIES):
        roles = dict(zip((parameter.name for parameter in needed), order))
        arguments = [_argument(p, roles.get(p.name, "other")) for p in singles]
        ours = _complete(theirs, arguments, sizes, len(singles) < len(parameters))
        if ours is not None:
            yield ours
