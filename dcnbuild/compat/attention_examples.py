"""Compares a function with deformable attention on examples, in the forward pass and in the gradients."""

from __future__ import annotations

import contextlib
import io
import itertools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dcnbuild.compat.attention_functions import Attention, with_levels


@dataclass(frozen=True)
class Example:
    """One call: its levels and counts, and the distance of its locations beyond 0..1."""

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
        """Returns the arguments by role; with `flat`, the points of all levels are in one dimension."""
        generator = torch.Generator().manual_seed(0)

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, generator=generator, dtype=torch.float64)

        areas = [height * width for height, width in self.sizes]
        counts = [max(1, self.points - i) if flat else self.points for i in range(len(areas))]
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


#: The first finds the roles, so all its counts differ.
EXAMPLES = (
    Example(((2, 3), (1, 4)), 2, 5, 3, 7, 6, 0.2),
    Example(((3, 2),), 1, 1, 1, 3, 1, 0.0, torch.float64),
    Example(((4, 3), (2, 2), (1, 1)), 2, 4, 2, 5, 3, 2.0, torch.float64),
    Example(((5, 5),), 2, 1, 4, 8, 2, 0.6),
)


def agrees(ours: Attention) -> bool | None:
    """Whether both agree on all examples that theirs can run, at least two; None if theirs cannot run."""
    ran = 0
    for number, example in enumerate(EXAMPLES):
        same = _agrees(ours, example.with_sizes(ours.sizes))
        if same is False:
            return False
        ran += bool(same)
        if number == 1 and ran == 0:  # it runs neither with several levels nor with one
            return None
    return ran >= 2


def _agrees(ours: Attention, example: Example) -> bool | None:
    roles = {argument.role for argument in ours.arguments}
    # By position as far as possible, since an autograd.Function takes no arguments by name.
    places = list(itertools.takewhile(lambda a: not a.by_name and a.role != "other", ours.arguments))
    names = [a for a in ours.arguments[len(places) :] if a.role != "other"]

    def run(call: Callable[..., Any], shapes: Any) -> Any:
        leaves = {**example.by_role("points" in roles), "shapes": shapes}
        # Passes copies, since a function may change its arguments.
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
        except Exception:  # with any exception, it cannot run here
            continue
        with _unseen():
            expected, slopes = run(ours, shapes)
        same = isinstance(output, Tensor) and output.shape == expected.shape
        return same and all(map(_close, (output, *grads), (expected, *slopes))) and bool(grads)
    return None


@contextlib.contextmanager
def _unseen() -> Iterator[None]:
    """Hides a trial's effects: random numbers, warnings and output."""
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
