"""DeformConv2d and DCN: torchvision's conventions, shapes, state, and a training step that learns."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from ops.cases import Case

import dcnbuild


def test_drop_in_for_torchvision() -> None:
    torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")
    arguments = (6, 4, (3, 2), (2, 1), (1, 0), (1, 2), 2, True)
    torch.manual_seed(0)
    theirs = torchvision.ops.DeformConv2d(*arguments)
    torch.manual_seed(0)
    ours = dcnbuild.DeformConv2d(*arguments)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]), name
    case = Case(
        channels=6,
        out_channels=4,
        kernel=(3, 2),
        stride=(2, 1),
        padding=(1, 0),
        dilation=(1, 2),
        groups=2,
    )
    t = case.tensors(0, torch.float32)
    torch.testing.assert_close(
        ours(t["input"], t["offset"], t["mask"]),
        theirs(t["input"], t["offset"], t["mask"]),
        rtol=1e-5,
        atol=1e-5,
    )


@pytest.mark.parametrize("modulated", [True, False], ids=["v2", "v1"])
def test_a_new_dcn_is_an_ordinary_convolution(modulated: bool, device: str) -> None:
    module = dcnbuild.DCN(4, 6, 3, stride=2, padding=2, dilation=2, offset_groups=2, modulated=modulated).to(device)
    x = torch.randn(2, 4, 11, 9, device=device)
    scale = 0.5 if modulated else 1.0
    plain = torch.nn.functional.conv2d(x, module.weight * scale, module.bias, 2, 2, 2)
    torch.testing.assert_close(module(x), plain, rtol=1e-4, atol=1e-5)


def test_dcn_offsets_come_first_and_mask_last(device: str) -> None:
    module = dcnbuild.DCN(2, 2, 1, offset_groups=1, bias=False).to(device)
    x = torch.randn(1, 2, 5, 5, device=device)
    with torch.no_grad():
        module.conv_offset.bias.copy_(torch.tensor([1.0, 0.0, 100.0]))  # one row down, mask 1
        output = module(x)
    shifted = torch.nn.functional.conv2d(x[:, :, 1:], module.weight)
    torch.testing.assert_close(output[:, :, :-1], shifted, rtol=1e-5, atol=1e-6)
    assert (output[:, :, -1] == 0).all()


def test_dcn_learns(device: str) -> None:
    """A shift by two pixels, out of reach of a fixed 1x1 kernel, is found by gradient descent."""
    torch.manual_seed(0)
    module = dcnbuild.DCN(1, 1, 1, bias=False, modulated=False).to(device)
    ramp = torch.linspace(-1, 1, 24, device=device)
    image = torch.sin(3 * ramp[:, None] + ramp).expand(1, 1, 24, 24)
    target = image.roll(-2, dims=2)[:, :, 4:-4, 4:-4]
    with torch.no_grad():
        module.weight.fill_(1.0)
    optimizer = torch.optim.Adam(module.conv_offset.parameters(), lr=0.05)
    losses = []
    for _ in range(150):
        loss = (module(image)[:, :, 4:-4, 4:-4] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 50


@pytest.mark.parametrize("make", [dcnbuild.DeformConv2d, dcnbuild.DCN], ids=["DeformConv2d", "DCN"])
def test_copies_and_pickles(make: type[torch.nn.Module]) -> None:
    module = make(4, 2, 3, padding=1)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert twin.state_dict().keys() == module.state_dict().keys()
        assert repr(twin) == repr(module)
        assert all(torch.equal(a, b) for a, b in zip(twin.parameters(), module.parameters()))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"groups": 3}, "groups=3"),
        ({"groups": 0}, "groups=0"),
        ({"kernel_size": 0}, "kernel_size"),
        ({"stride": -1}, "stride"),
        ({"padding": (1, -1)}, "padding"),
    ],
)
def test_wrong_constructions_are_explained(arguments: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        dcnbuild.DeformConv2d(**{"in_channels": 4, "out_channels": 4, "kernel_size": 3, **arguments})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="offset_groups=3"):
        dcnbuild.DCN(4, 4, 3, offset_groups=3)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (torch.zeros(2, 3, 5), ("(2, 3, 5)", "(batch, 3, height, width)")),  # a Conv2d takes it for one image
        (torch.zeros(1, 4, 5, 5), ("(1, 4, 5, 5)", "(batch, 3, height, width)")),
        ([1.0], ("must be a tensor", "list")),
    ],
)  # fmt: skip
def test_dcn_checks_its_input_itself(wrong: object, words: tuple[str, ...]) -> None:
    with pytest.raises(dcnbuild.ArgumentError, match="DCN: input") as caught:
        dcnbuild.DCN(3, 4, 3)(wrong)  # type: ignore[arg-type]
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ["deformable_groups", "deform_groups", "n_offset_grps"])
def test_other_names_of_the_offset_groups(name: str) -> None:
    with pytest.raises(TypeError, match="offset_groups here"):
        dcnbuild.DCN(4, 4, 3, **{name: 2})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="follows from the offset's channels"):
        dcnbuild.DeformConv2d(4, 4, 3, **{name: 2})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'padd'$"):
        dcnbuild.DCN(4, 4, 3, padd=2)  # type: ignore[arg-type]


def test_whole_numbers_of_numpy() -> None:
    one, four = np.int64(1), np.int32(4)
    for layer in (
        dcnbuild.DCN(four, four, np.int64(3), padding=one, stride=one, groups=one, offset_groups=one),
        dcnbuild.DCN(4, 4, np.array([3, 3]), padding=(one, 1)),
    ):
        assert repr(layer) == repr(dcnbuild.DCN(4, 4, 3, padding=1))
        assert layer(torch.zeros(1, 4, 5, 5)).shape == (1, 4, 5, 5)


def test_no_output_channels_at_all() -> None:
    assert dcnbuild.DCN(4, 0, 3, padding=1)(torch.zeros(1, 4, 5, 5)).shape == (1, 0, 5, 5)


def test_public_names() -> None:
    assert dir(dcnbuild) == sorted(dcnbuild.__all__)
    assert all(getattr(dcnbuild, name) is not None for name in dir(dcnbuild))
