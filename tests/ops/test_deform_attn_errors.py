"""Wrong calls of the raw deform_attn operators: each raises before memory is touched, with the operator's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from ops.attention_cases import NAMES, AttnCase

GOOD = AttnCase(heads=3, points=4, shapes=((3, 4), (2, 2)))
HUGE = 2**31

Spoil = Callable[[dict[str, Any]], None]


def _set(**changes: Any) -> Spoil:
    return lambda call: call.update(changes)


def _to(name: str, function: Callable[[torch.Tensor], Any]) -> Spoil:
    return lambda call: call.update({name: function(call[name])})


def _expanded(**sizes: tuple[int, ...]) -> Spoil:
    return lambda call: call.update({n: torch.zeros(()).double().expand(s) for n, s in sizes.items()})


def _huge_queries(queries: int) -> Spoil:
    points = (2, queries, 3, 2, 4)
    return _expanded(sampling_locations=(*points, 2), attention_weights=points)


#: what is wrong: (how to spoil the good call, words that its message must hold)
WRONG: dict[str, tuple[Spoil, tuple[str, ...]]] = {
    "value of 3 dimensions": (_to("value", lambda t: t[0]), ("4, 6 and 5", "3, 6 and 5")),
    "locations of 5 dimensions": (_to("sampling_locations", lambda t: t[0]), ("4, 5 and 5",)),
    "weights of 6 dimensions": (_to("attention_weights", lambda t: t[None]), ("4, 6 and 6",)),
    "a pixel too many": (_set(spatial_shapes=[3, 4, 2, 3]), ("16 pixels", "expected 18")),
    "a level too few": (_set(spatial_shapes=[3, 4]), ("16 pixels", "expected 12")),
    "half a level": (_set(spatial_shapes=[3, 4, 2]), ("3 numbers", "1 to 64 levels")),
    "no level": (_set(spatial_shapes=[]), ("0 numbers",)),
    "65 levels": (_set(spatial_shapes=[1, 1] * 65), ("130 numbers", "1 to 64 levels")),
    "negative sides": (_set(spatial_shapes=[-3, -4, 2, 2]), ("height is -3",)),
    "a side that overflows": (_set(spatial_shapes=[2**62, 4, 2, 2]), ("height is 4611686018427387904",)),
    "pixels that overflow": (_set(spatial_shapes=[2**29, 2**29, 2, 2]), ("level's pixels", "too many")),
    "other levels of locations": (
        _to("sampling_locations", lambda t: t[:, :, :, :1]), ("sampling_locations", "size 1 in dimension 3, "
                                                                                    "expected 2")),
    "other levels of weights": (
        _to("attention_weights", lambda t: t[:, :, :, :1]), ("attention_weights", "size 1 in dimension 3, expected 2")),
    "other points of weights": (
        _to("attention_weights", lambda t: t[..., :3]), ("attention_weights", "size 3 in dimension 4, expected 4")),
    "other heads": (_to("value", lambda t: t[:, :, :2]), ("sampling_locations", "size 3 in dimension 2, expected 2")),
    "other batch": (_to("value", lambda t: t[:1]), ("sampling_locations", "size 2 in dimension 0, expected 1")),
    "other queries of weights": (
        _to("attention_weights", lambda t: t[:, 1:]), ("attention_weights", "size 6 in dimension 1, expected 7")),
    "locations of 3 numbers": (
        _to("sampling_locations", lambda t: t[..., [0, 1, 0]]), ("sampling_locations", "size 3 in dimension 5, "
                                                                                       "expected 2")),
    "no heads": (lambda call: call.update(
        {name: call[name][:, :, :0] for name in NAMES}), ("number of heads is 0",)),
    "no channels": (_to("value", lambda t: t[..., :0]), ("number of channels of a head is 0",)),
    "no points": (_to("sampling_locations", lambda t: t[:, :, :, :, :0]), ("number of points is 0",)),
    "integer value": (_to("value", lambda t: t.long()), ("value must be float64",)),
    "locations of another dtype": (_to("sampling_locations", lambda t: t.float()), ("dtype of value",)),
    "weights of another dtype": (_to("attention_weights", lambda t: t.float()), ("one dtype",)),
    "integer locations": (_to("sampling_locations", lambda t: t.long()), ("dtype of value",)),
    "too many channels": (_expanded(value=(2, 16, 3, HUGE)), ("channels of a head is 2147483648",)),
    "too many queries": (_huge_queries(2**54), ("too many",)),
}  # fmt: skip


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_call_raises(wrong: str, backward: bool) -> None:
    spoil, words = WRONG[wrong]
    call: dict[str, Any] = {**GOOD.tensors(), "spatial_shapes": GOOD.flat}
    upstream = call.pop("grad_output")
    spoil(call)
    args = [call[n] for n in ("value", "spatial_shapes", "sampling_locations", "attention_weights")]
    name = "deform_attn_backward" if backward else "deform_attn"
    with pytest.raises(RuntimeError) as caught:
        if backward:
            torch.ops.dcnbuild.deform_attn_backward(upstream, *args, [True] * 3, False)
        else:
            torch.ops.dcnbuild.deform_attn(*args)
    assert all(word in str(caught.value) for word in (f"{name}: ", *words)), caught.value


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t: t[:, :, :-1], "grad_output has size 23 in dimension 2, expected 24"),
        (lambda t: t[:, :-1], "grad_output has size 6 in dimension 1, expected 7"),
        (lambda t: t.unflatten(2, (3, 8)), "grad_output has 4 dimensions, expected 3"),
        (lambda t: t.float(), "grad_output must have the dtype and device of value"),
    ],
)
def test_a_wrong_upstream_gradient_raises(spoil: Callable[[Any], Any], words: str) -> None:
    tensors = GOOD.tensors()
    inputs = [tensors[name] for name in NAMES]
    with pytest.raises(RuntimeError, match=words):
        torch.ops.dcnbuild.deform_attn_backward(
            spoil(tensors["grad_output"]), inputs[0], GOOD.flat, *inputs[1:], [True] * 3, False
        )


def test_a_wrong_output_mask_raises() -> None:
    tensors = GOOD.tensors()
    inputs = [tensors[name] for name in NAMES]
    with pytest.raises(RuntimeError):
        torch.ops.dcnbuild.deform_attn_backward(
            tensors["grad_output"], inputs[0], GOOD.flat, *inputs[1:], [True] * 2, False
        )
