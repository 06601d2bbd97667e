"""Tries batch normalisation on several processes: `torchrun --nproc-per-node=2 examples/sync_batchnorm.py`.

It finishes an experiment on a BatchNorm2d, first alone and then on two processes (gloo on the CPU, nccl on GPUs):

1. the statistics are per channel, over (B, H, W); how to undo the normalisation; where training towards
   input / 2 leads;
2. ordinary BatchNorm's statistics differ between the processes, synchronised ones agree with the joined batch;
3. under DistributedDataParallel with a deformable convolution, the gradients are those of one process on
   the joined batch.

Process 0 writes a plot of how the gap of ordinary BatchNorm shrinks as the batch grows, and the numbers.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from typing import Any

import torch
import torch.distributed as dist
from matplotlib.figure import Figure
from records import add_out, save, write_record
from sync_batchnorm_layer import SyncBatchNorm2d, column
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

import dcnbuild

CHANNELS = 2
#: Of the input of the toy experiment and of the gap: 2 x 2 pixels.
SIDE = 2
#: Batch sizes of each process in the plot.
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def synchronised(channels: int, device: torch.device, **options: Any) -> nn.BatchNorm2d:
    """Makes torch's SyncBatchNorm on GPUs, and SyncBatchNorm2d on the CPU."""
    make: Any = nn.SyncBatchNorm if device.type == "cuda" else SyncBatchNorm2d
    module: nn.BatchNorm2d = make(channels, **options)
    return module.to(device)


def running(norm: nn.BatchNorm2d) -> Tensor:
    """Returns running mean and variance, [2, C]."""
    assert norm.running_mean is not None and norm.running_var is not None
    return torch.stack([norm.running_mean, norm.running_var])


def per_channel_error(input: Tensor) -> float:
    """Returns how far a BatchNorm2d's statistics of one batch are from the mean and variance of each channel over (B,
    H, W).
    """
    norm = nn.BatchNorm2d(input.shape[1], momentum=1.0)  # remembers nothing but the last batch
    norm(input)
    expected = torch.stack([input.mean((0, 2, 3)), input.var((0, 2, 3), correction=1)])
    return (running(norm) - expected).abs().max().item()


def undo(output: Tensor, input: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """Returns the input of a BatchNorm2d in training mode, from its output: (y - β) / γ · √(var + ε) + mean.

    mean and var are those of this batch, var the biased one. The running statistics do not undo it: they are averages
    over many batches, and the variance in them is the unbiased one.
    """
    mean, variance = input.mean((0, 2, 3)), input.var((0, 2, 3), correction=0)
    normalised = (output - column(norm.bias)) / column(norm.weight)
    return normalised * column(variance + norm.eps).sqrt() + column(mean)


def expected_scale(values: int) -> float:
    """Returns E[s] / 2, where s is the (biased) standard deviation of so many standard normal values.

    This is where γ goes. The output is γ x̂ + β with x̂ = (x - mean) / s, so over one batch the loss against x / 2 is
    (γ - s / 2)² + (β - mean / 2)², and over all batches it is least at γ = E[s] / 2, β = E[mean] / 2 = 0.
    """
    ratio = math.exp(math.lgamma(values / 2) - math.lgamma((values - 1) / 2))
    return ratio * math.sqrt(2 / values) / 2


def train_towards_half(batch: int, steps: int, seed: int = 0) -> dict[str, float]:
    """Trains a BatchNorm2d to give half its input; returns γ, β, E[s] / 2 and the largest error of `undo`."""
    generator = torch.Generator().manual_seed(seed)
    norm = nn.BatchNorm2d(CHANNELS)
    optimizer = torch.optim.Adam(norm.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        input = torch.randn(batch, CHANNELS, SIDE, SIDE, generator=generator)
        output = norm(input)
        loss = nn.functional.mse_loss(output, input / 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        output = norm(input)
        mean, variance = map(column, running(norm))
        wrong = output * mean + variance
        return {
            "batch": batch,
            "gamma": norm.weight.mean().item(),
            "beta": norm.bias.mean().item(),
            "expected gamma": expected_scale(batch * SIDE * SIDE),
            "undo error": (undo(output, input, norm) - input).abs().max().item(),
            "error with running statistics": (wrong - input).abs().max().item(),
        }


def gather(values: Tensor) -> Tensor:
    """Gathers [...] of every process into [processes, ...] on every process."""
    parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, values.contiguous())
    return torch.stack(parts)


def statistics(norm: nn.BatchNorm2d, input: Tensor) -> tuple[float, float]:
    """Returns how far the running mean and variance of a new `norm` are apart after one batch [B, C, H, W] on every
    process.

    Returns:
        The mean absolute difference between the first two processes, and the largest one between any process and
        an ordinary BatchNorm2d on the joined batch; over channels, mean and variance.
    """
    norm(input)
    whole = nn.BatchNorm2d(input.shape[1], momentum=norm.momentum).to(input)
    whole(gather(input).flatten(0, 1))
    own, joined = running(norm), running(whole)
    all_of_them = gather(own)
    between = (all_of_them[0] - all_of_them[1]).abs().mean().item()
    return between, (all_of_them - joined).abs().max().item()


def gaps(device: torch.device, repeats: int) -> dict[str, list[float]]:
    """Measures the gaps of the running statistics for every batch size in `BATCHES`.

    Returns:
        "ordinary": between the processes with BatchNorm2d, averaged over `repeats` batches; "expected": what theory
        says it is; "ordinary to joined", "synchronised to joined": the largest gap to one BatchNorm2d on the joined
        batch.
    """
    channels = 64
    names = ("ordinary", "expected", "ordinary to joined", "synchronised to joined")
    found: dict[str, list[float]] = {name: [] for name in names}
    generator = torch.Generator().manual_seed(1 + dist.get_rank())
    for batch in BATCHES:
        plain, together = [], []
        for _ in range(repeats):
            input = torch.randn(batch, channels, SIDE, SIDE, generator=generator).to(device)
            plain.append(statistics(nn.BatchNorm2d(channels, momentum=1.0).to(device), input))
            together.append(statistics(synchronised(channels, device, momentum=1.0), input))
        found["ordinary"].append(sum(between for between, _ in plain) / repeats)
        found["ordinary to joined"].append(max(apart for _, apart in plain))
        found["synchronised to joined"].append(max(apart for _, apart in together))
        # The mean of n standard normal values varies by 1/n, their unbiased variance by 2/(n - 1), the difference of
        # two such by twice that; and E|N(0, v)| = √(2v/π).
        values = batch * SIDE * SIDE
        spread = (math.sqrt(1 / values) + math.sqrt(2 / (values - 1))) / 2
        found["expected"].append(spread * math.sqrt(4 / math.pi))
    return found


class Network(nn.Module):
    """A deformable convolution, a normalisation and a convolution, in float64."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.dcn = dcnbuild.DCN(3, 8, 3, padding=1)
        self.norm = norm
        self.last = nn.Conv2d(8, 3, 3, padding=1)
        # A new DCN has no offsets; these are some, away from whole pixels, where the derivative jumps.
        offset: Any = self.dcn.conv_offset
        nn.init.normal_(offset.weight, std=0.1)
        nn.init.uniform_(offset.bias, 0.2, 0.4)

    def forward(self, input: Tensor) -> Tensor:
        output: Tensor = self.last(self.norm(self.dcn(input)).relu())
        return output


def gradient_gap(device: torch.device, sync: bool) -> float:
    """Returns the largest difference, relative to the largest gradient, of DDP's gradients to those of one process on
    the joined batch.
    """

    def network(norm: nn.Module) -> Network:
        torch.manual_seed(0)
        return Network(norm).double().to(device)

    generator = torch.Generator().manual_seed(10 + dist.get_rank())
    input, target = torch.randn(2, 4, 3, 16, 16, generator=generator, dtype=torch.float64).to(device)
    norm = synchronised(8, device) if sync else nn.BatchNorm2d(8)
    parallel = DistributedDataParallel(network(norm))
    nn.functional.mse_loss(parallel(input), target).backward()

    alone = network(nn.BatchNorm2d(8))
    joined, joined_target = gather(input).flatten(0, 1), gather(target).flatten(0, 1)
    nn.functional.mse_loss(alone(joined), joined_target).backward()
    found, expected = (
        torch.cat([parameter.grad.flatten() for parameter in module.parameters() if parameter.grad is not None])
        for module in (parallel, alone)
    )
    return ((found - expected).abs().max() / expected.abs().max()).item()


def draw(found: dict[str, list[float]]) -> Figure:
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axis = figure.subplots()
    axis.loglog(BATCHES, found["ordinary"], "o", label="ordinary BatchNorm, measured")
    axis.loglog(BATCHES, found["expected"], "C0--", label="expected, falls as 1/√batch")
    axis.loglog(
        BATCHES,
        found["synchronised to joined"],
        "s-",
        label="synchronised, largest gap to the joined batch",
    )
    axis.axhline(1e-6, linestyle=":", color="grey")
    axis.set_xticks(BATCHES, [str(batch) for batch in BATCHES])
    axis.minorticks_off()
    axis.set(
        xlabel=f"batch of each process ({SIDE} x {SIDE} pixels)",
        ylabel="gap of the running statistics",
        title="BatchNorm's statistics on two processes",
    )
    axis.legend()
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_out(parser, "sync_batchnorm")
    parser.add_argument("--steps", type=int, default=4000, help="of the training towards input / 2")
    parser.add_argument("--repeats", type=int, default=20, help="batches of each size in the plot")
    args = parser.parse_args()
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        sys.exit("run it as: torchrun --nproc-per-node=2 examples/sync_batchnorm.py")
    gpus = torch.cuda.device_count() >= int(os.environ["LOCAL_WORLD_SIZE"])
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpus else torch.device("cpu")
    dist.init_process_group("nccl" if gpus else "gloo")
    say = print if dist.get_rank() == 0 else lambda *_: None

    error = per_channel_error(torch.randn(4, CHANNELS, SIDE, SIDE))
    say(f"the statistics are those of each channel over (B, H, W): to {error:.0e}\n")
    half = [train_towards_half(batch, args.steps) for batch in (2, 64)]
    say("trained towards input / 2; γ should go to E[s] / 2, which is 0.5 only for large batches, β to 0:")
    for trained in half:
        say(
            f"  batch {trained['batch']:3} of {SIDE} x {SIDE}: γ {trained['gamma']:.3f} (expected "
            f"{trained['expected gamma']:.3f}), "
            f"β {trained['beta']:+.3f}, undone to {trained['undo error']:.0e}, "
            f"with y · running_mean + running_var to {trained['error with running statistics']:.1f}"
        )
    found = gaps(device, args.repeats)
    say("\ngap of the running statistics (mean and variance) after one batch on each process:")
    say("  batch  between processes, ordinary  expected  to the joined batch, ordinary  synchronised")
    for batch, *row in zip(BATCHES, *found.values(), strict=True):
        say("  {:5}  {:27.4f}  {:8.4f}  {:29.4f}  {:12.1e}".format(batch, *row))
    gradients = {name: gradient_gap(device, sync) for name, sync in (("ordinary", False), ("synchronised", True))}
    say("\nDDP's gradients against one process on the joined batch, relative difference:")
    for name, difference in gradients.items():
        say(f"  {name:12}  {difference:.1e}")
    if dist.get_rank() == 0:
        args.out.mkdir(parents=True, exist_ok=True)
        save(draw(found), args.out / "sync_batchnorm.png")
        results = {"half": half, "batches": BATCHES, "gaps": found, "gradients": gradients}
        write_record(args.out / "sync_batchnorm.json", {"device": str(device), **results})
        say(f"\nwritten: {args.out / 'sync_batchnorm.png'}, {args.out / 'sync_batchnorm.json'}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
