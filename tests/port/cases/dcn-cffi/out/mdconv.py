#!/usr/bin/env python
from __future__ import absolute_import

import math

import torch
from torch import nn
from torch.nn.modules.utils import _pair

from mdconv_func import MDConvFunction


class MDConv(nn.Module):

    def __init__(self, in_channels, out_channels, kernel_size, stride, padding, dilation=1, deformable_groups=1):
        super(MDConv, self).__init__()
        self.kernel_size = _pair(kernel_size)
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.deformable_groups = deformable_groups
        self.weight = nn.Parameter(torch.Tensor(out_channels, in_channels, *self.kernel_size))
        self.bias = nn.Parameter(torch.Tensor(out_channels))
        self.reset_parameters()

    def reset_parameters(self):
        n = self.weight[0].numel()
        self.weight.data.uniform_(-1. / math.sqrt(n), 1. / math.sqrt(n))
        self.bias.data.zero_()

    def forward(self, input, offset, mask):
        return MDConvFunction.apply(input, offset, mask, self.weight, self.bias, self.stride, self.padding, self.dilation, self.deformable_groups)
