"""The operator against the plain-torch reference, for shapes that hypothesis chooses."""

from __future__ import annotations

import pytest
import torch
from ops.cases import Case, assert_close, run

import dcnbuild

pytest.importorskip("hypothesis", reason="hypothesis is not installed: a machine of tests/gpu/session.py may lack it")

from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=60)
@given(
    st.builds(
        lambda unit, per, **rest: Case(
            channels=rest["groups"] * rest["offset_groups"] * per,
            out_channels=rest["groups"] * unit,
            **rest,
        ),
        unit=st.integers(1, 20),
        per=st.integers(1, 9),
        batch=st.integers(0, 3),
        size=st.tuples(st.integers(4, 24), st.integers(4, 24)),
        kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
        stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
        padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
        dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
        groups=st.integers(1, 3),
        offset_groups=st.integers(1, 3),
        mask=st.booleans(),
        bias=st.booleans(),
    ).filter(lambda case: min(case.output_size) > 0),
    st.integers(0, 2**31),
    st.floats(0.0, 30.0),
)
def test_any_shape_agrees_with_the_reference(case: Case, seed: int, spread: float) -> None:
    tensors = case.tensors(seed, torch.float64, spread=spread)
    expected = run(dcnbuild.reference.deform_conv2d, case, tensors)
    assert_close(run(dcnbuild.deform_conv2d, case, tensors), expected, 1e-12, case)
