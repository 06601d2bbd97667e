"""A BatchNorm2d whose statistics are those of all processes; examples/sync_batchnorm.py tries it."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class SumOverProcesses(torch.autograd.Function):
    """Sums a tensor over all processes. Its backward pass sums too: every process's loss uses the sum."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Normalises with the statistics of all processes' batches joined, on any backend that sums.

    torch.nn.SyncBatchNorm is the one to use where it runs, which is on GPUs. This one shows what it does: the sums of
    each channel go through an all-reduce whose backward is an all-reduce as well, because what one process normalises
    depends on the inputs of all.

    forward takes [B, C, H, W]; the processes' batches may differ in size.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or not dist.is_initialized():
            return super().forward(input)
        count = input.new_tensor([input.numel() / input.shape[1]])
        *sums, total = SumOverProcesses.apply(torch.cat([input.sum((0, 2, 3)), count]))
        mean = torch.stack(sums) / total
        centred = input - column(mean)
        variance = SumOverProcesses.apply(centred.square().sum((0, 2, 3))) / total
        self.update_running(mean.detach(), (variance * total / (total - 1)).detach())
        normalised = centred / column(variance + self.eps).sqrt()
        return normalised * column(self.weight) + column(self.bias)

    def update_running(self, mean: Tensor, unbiased: Tensor) -> None:
        """Remembers the unbiased variance, as torch does, which normalises with the biased one."""
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(unbiased, share)


def column(values: Tensor) -> Tensor:
    """Reshapes [C] to [1, C, 1, 1]."""
    return values.view(1, -1, 1, 1)
