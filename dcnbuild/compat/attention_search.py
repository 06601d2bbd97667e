"""Which functions are deformable attention, and what their arguments are: found by what they compute for examples.

Names of arguments are hints to begin with. What decides is the output and the gradients, for one level and several, samples
far outside, weights that do not add up to one.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
import itertools
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

import torch
from torch import Tensor

from dcnbuild.compat.attention_functions import NEEDED, SHAPES, Argument, Attention, with_levels

#: role of an argument → what it is often called.
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
#: What an autograd.Function of the attention is called.
_FUNCTION_NAME = re.compile(r"(?i)deform\w*att")
#: What code calls that computes it, in plain torch or by an extension.
_SAMPLES = re.compile(r"grid_sample\w*|\w*deform\w*att\w*")
#: The most ways to give out roles that are tried on one function.
_TRIES = 800


@dataclass(frozen=True)
class Example:
    """One call: its levels and counts, and how far locations go beyond 0..1."""

    sizes: tuple[tuple[int, int], ...]
    batch: int
    queries: int
    heads: int
    channels: int
    points: int
    reach: float
    dtype: torch.dtype = torch.float32

    def with_sizes(self, sizes: tuple[tuple[int, int], ...] | None) -> Example:
        return self if sizes is None else Example(sizes, *list(vars(self).values())[1:])

    def by_role(self, flat: bool) -> dict[str, Any]:
        """Arguments by role; `flat` has the points of all levels in one dimension."""
        generator = torch.Generator().manual_seed(0)

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, dtype=torch.float64)

        areas = [height * width for height, width in self.sizes]
        counts = [self.points] * len(self.sizes)
        samples = (self.batch, self.queries, self.heads, sum(counts))
        at = uniform(*samples, 2) * (1 + 2 * self.reach) - self.reach
        weights = uniform(*samples) - 0.3
        if not flat:
            at, weights = with_levels(at, weights, counts)
        starts = list(itertools.accumulate(areas, initial=0))[:-1]
        value = uniform(self.batch, sum(areas), self.heads, self.channels) - 0.5
        return {
            "value": value.to(self.dtype).requires_grad_(),
            "locations": at.to(self.dtype).requires_grad_(),
            "weights": weights.to(self.dtype).requires_grad_(),
            "shapes": torch.tensor(self.sizes),
            "shapes_list": list(self.sizes),
            "starts": torch.tensor(starts),
            "points": counts,
            "method": "default",
            "step": 1,
        }


#: The first finds the roles, so that no two of its counts are alike.
EXAMPLES = (
    Example(((2, 3), (1, 4)), 2, 5, 3, 7, 6, 0.2),
    Example(((3, 2),), 1, 1, 1, 3, 1, 0.0, torch.float64),
    Example(((4, 3), (2, 2), (1, 1)), 2, 4, 2, 5, 3, 2.0, torch.float64),
    Example(((5, 5),), 2, 1, 4, 8, 2, 0.6),
)


def stand_in(found: Any) -> Attention | None:
    """What stands in for a function, a functools.partial or an autograd.Function of deformable attention; else None."""
    if isinstance(found, type) and issubclass(found, torch.autograd.Function):
        ours = by_names(found.apply, _parameters(found.forward)[1:])
        if ours is None or not _FUNCTION_NAME.search(found.__name__):
            return None
        # Most compute nothing without their extension.
        return ours if agrees(ours) is not False else None
    return of_callable(found) if isinstance(found, FunctionType | functools.partial) else None


def of_callable(found: Callable[..., Any], skip: int = 0) -> Attention | None:
    """The stand-in for a function whose first `skip` arguments nobody reads: a method that does not use `self`."""
    theirs = functools.partial(found, *[None] * skip) if skip else found
    parameters = _parameters(theirs)
    named = by_names(theirs, parameters)
    if named is not None and agrees(named):
        return named
    if not may_sample(found):
        return None
    return next((ours for ours in _guesses(theirs, parameters) if agrees(ours)), None)


def may_sample(found: Any, depth: int = 2) -> bool:
    """Whether the code of a function, or of one that it calls, names what samples: others are not run with examples."""
    if isinstance(found, functools.partial):
        return may_sample(found.func, depth)
    if not isinstance(found, FunctionType):
        return False
    names = code_names(found.__code__)
    if any(_SAMPLES.fullmatch(name) for name in names):
        return True
    called = (found.__globals__.get(name) for name in names) if depth else ()
    return any(may_sample(each, depth - 1) for each in called if _is_theirs(each))


def _is_theirs(found: Any) -> bool:
    home = getattr(found, "__module__", None) or ""
    return isinstance(found, FunctionType) and home.partition(".")[0] not in ("torch", "dcnbuild")


def code_names(code: CodeType) -> set[str]:
    """Globals and attributes that code names, that of functions inside it too."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(code_names, inner))


def looks_like_attention(function: FunctionType) -> bool:
    """Whether a function samples by itself, and its variables are called like the attention's: one to name in a report."""
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
    """Levels that a functools.partial has bound: pairs of ints among its arguments."""
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
    """Arguments that a functools.partial has bound by name; whoever gives them anew means something else."""
    return set(theirs.keywords) if isinstance(theirs, functools.partial) else set()


def by_names(theirs: Callable[..., Any], parameters: list[inspect.Parameter]) -> Attention | None:
    """The stand-in that fits the names of the arguments; None if one that is needed is not known by its name."""
    arguments = []
    fixed, sizes = _fixed(theirs), _bound_sizes(theirs)
    for parameter in parameters:
        role = None if parameter.name in fixed else _named(parameter.name)
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            return None
        if role is None and parameter.default is parameter.empty:
            return None
        arguments.append(_argument(parameter, role or "other"))
    return _complete(theirs, arguments, sizes)


def _complete(
    theirs: Callable[..., Any],
    arguments: list[Argument],
    sizes: tuple[tuple[int, int], ...] | None,
) -> Attention | None:
    roles = [argument.role for argument in arguments if argument.role != "other"]
    whole = len(set(roles)) == len(roles) and set(roles) >= NEEDED
    if not whole or (sizes is None and not SHAPES & set(roles)):
        return None
    return Attention(tuple(arguments), theirs, None if SHAPES & set(roles) else sizes)


def _guesses(
    theirs: Callable[..., Any], parameters: list[inspect.Parameter]
) -> Iterator[Attention]:
    """Ways to give out the roles to arguments that are needed, those first that go with their names."""
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return
    parameters = [p for p in parameters if p.kind is not p.VAR_KEYWORD]
    needed = [p for p in parameters if p.default is p.empty]
    sizes = _bound_sizes(theirs)
    first = (
        ("value", "locations", "weights") if sizes else ("value", "shapes", "locations", "weights")
    )
    more = ("starts", "step", "shapes_list", "points")
    extra = len(needed) - len(first)
    if not 0 <= extra <= len(more):
        return
    orders = (
        order
        for chosen in itertools.combinations(more, extra)
        for order in itertools.permutations((*first, *chosen))
    )

    def strangers(order: tuple[str, ...]) -> int:
        named = [_named(parameter.name) for parameter in needed]
        return sum(a is not None and a != b for a, b in zip(named, order))

    for order in itertools.islice(sorted(orders, key=strangers), _TRIES):
        roles = dict(zip((parameter.name for parameter in needed), order))
        arguments = [_argument(p, roles.get(p.name, "other")) for p in parameters]
        ours = _complete(theirs, arguments, sizes)
        if ours is not None:
            yield ours


def agrees(ours: Attention) -> bool | None:
    """Whether both compute the same for the examples that theirs can be run with, two at least; None if it cannot be run."""
    ran = 0
    for number, example in enumerate(EXAMPLES):
        same = _agrees(ours, example.with_sizes(ours.sizes))
        if same is False:
            return False
        ran += bool(same)
        if number == 1 and ran == 0:  # not with several levels, nor with one
            return None
    return ran >= 2


def _agrees(ours: Attention, example: Example) -> bool | None:
    roles = {argument.role for argument in ours.arguments}
    # By position as far as it goes, since an autograd.Function takes nothing by name.
    places = list(
        itertools.takewhile(lambda a: not a.by_name and a.role != "other", ours.arguments)
    )
    names = [a for a in ours.arguments[len(places) :] if a.role != "other"]

    def run(call: Callable[..., Any], shapes: Any) -> Any:
        leaves = {**example.by_role("points" in roles), "shapes": shapes}
        # Copies, since a function may change what it is given.
        given = {k: t.clone() if isinstance(t, Tensor) else t for k, t in leaves.items()}
        output = call(*(given[a.role] for a in places), **{a.name: given[a.role] for a in names})
        if not isinstance(output, Tensor) or not output.requires_grad:
            return output, ()
        wanted = [leaves[role] for role in ("value", "locations", "weights")]
        upstream = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view_as(output)
        return output, torch.autograd.grad(output, wanted, upstream, allow_unused=True)

    for shapes in (torch.tensor(example.sizes), list(example.sizes)):
        try:
            with _unseen():
                output, grads = run(ours.theirs, shapes)
        except Exception:  # whatever it raises, it cannot be run
            continue
        with _unseen():
            expected, slopes = run(ours, shapes)
        same = isinstance(output, Tensor) and output.shape == expected.shape
        return same and all(map(_close, (output, *grads), (expected, *slopes))) and bool(grads)
    return None


@contextlib.contextmanager
def _unseen() -> Iterator[None]:
    """Nothing of a trial is seen outside: random numbers, warnings, what it prints."""
    with (
        torch.enable_grad(),
        torch.random.fork_rng(devices=[]),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def _close(theirs: Tensor | None, ours: Tensor) -> bool:
    return theirs is not None and torch.allclose(theirs.double(), ours.double(), atol=1e-4)
