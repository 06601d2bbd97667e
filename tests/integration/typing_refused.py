"""User code with a mistake in every line that ends in "wrong": mypy and pyright must find each. Checked, never run."""

from __future__ import annotations

import torch

import dcnbuild

x = torch.rand(1, 3, 8, 8)
offset = torch.zeros(1, 18, 8, 8)
weight = torch.rand(4, 3, 3, 3)

dcnbuild.deform_conv(x, offset, weight)  # wrong: no such name
dcnbuild.deform_conv2d(x, offset, weight, paddings=1)  # wrong: no such argument
dcnbuild.deform_conv2d(x, offset, weight, padding="same")  # wrong: a string
dcnbuild.deform_conv2d(x, offset)  # wrong: no weight
dcnbuild.deform_roi_pool(x, offset)  # wrong: no output size
layer = dcnbuild.DCN(3, 4)  # wrong: no kernel size
number: int = dcnbuild.deform_conv2d(x, offset, weight)  # wrong: a tensor
