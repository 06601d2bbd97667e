"""Shows two causes of a loss that stays very large, each beside its cure. `python examples/convergence.py`.

Four networks learn to remove noise from photographs with the same batches, loss and optimiser:

- a shallow one whose last layer is a bare convolution, and the same with a ReLU behind its last layer;
- a deep one of residual blocks, and the same layers without the shortcuts.

Writes a plot of the four losses, and the numbers.
"""

from __future__ import annotations

import argparse

import torch
from matplotlib.figure import Figure
from records import add_out, save, write_record
from shaken_frames import REFERENCE_NOISE, TRAINING, make_bursts, photographs
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 16
SHALLOW, DEEP = 4, 24
BATCH, SIZE = 8, 32
LEARNING_RATE = 2e-3
#: Steps over which the plotted losses are averaged.
SMOOTH = 10


class Denoiser(nn.Module):
    """Convolutions of 3 x 3; the last one gives what is to be added to the middle grey, or to the input.

    Args:
        depth: convolutions in all; even.
        shortcuts: add the input to the output, and to every pair of convolutions its own input.
        last_activation: a ReLU behind the last convolution, which does not belong there.
    """

    def __init__(self, depth: int, shortcuts: bool, last_activation: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, CHANNELS, 3, padding=1)
        self.pairs = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
            )
            for _ in range(depth // 2 - 1)
        )
        self.last = nn.Conv2d(CHANNELS, 1, 3, padding=1)
        self.shortcuts = shortcuts
        self.last_activation = last_activation

    def forward(self, input: Tensor) -> Tensor:
        """[B, 1, H, W] in 0..1 → the same."""
        centred = input - 0.5
        features = self.first(centred).relu()
        for pair in self.pairs:
            features = features + pair(features) if self.shortcuts else pair(features).relu()
        output: Tensor = self.last(features)
        if self.last_activation:
            output = output.relu()
        return output + (input if self.shortcuts else 0.5)


#: name → depth, shortcuts, activation on the last layer.
NETWORKS = {
    f"{SHALLOW} layers, bare last layer": (SHALLOW, True, False),
    f"{SHALLOW} layers, ReLU on the last layer": (SHALLOW, True, True),
    f"{DEEP} layers with shortcuts": (DEEP, True, False),
    f"{DEEP} layers without shortcuts": (DEEP, False, False),
}


def train(network: Denoiser, photos: list[Tensor], steps: int, seed: int) -> list[float]:
    """Trains with Adam on the mean squared error; returns the loss of every step."""
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    losses = []
    for step in range(steps):
        burst = make_bursts(photos, BATCH, SIZE, seed=seed + step)
        loss = functional.mse_loss(network(burst.reference), burst.clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def gradient_sizes(network: Denoiser, photos: list[Tensor], seed: int) -> tuple[float, float]:
    """Returns the root mean square of the loss's gradient for the weights of the first and the last convolution."""
    burst = make_bursts(photos, BATCH, SIZE, seed)
    loss = functional.mse_loss(network(burst.reference), burst.clean)
    first, last = torch.autograd.grad(loss, [network.first.weight, network.last.weight])
    return first.square().mean().sqrt().item(), last.square().mean().sqrt().item()


def draw(losses: dict[str, list[float]]) -> Figure:
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axis = figure.subplots()
    for (name, line), style in zip(losses.items(), ("C0-", "C3-", "C0--", "C3--"), strict=True):
        smooth = torch.tensor(line).unfold(0, min(SMOOTH, len(line)), 1).mean(1)
        axis.plot(range(len(line) - len(smooth) + 1, len(line) + 1), smooth.numpy(), style, label=name)
    axis.axhline(REFERENCE_NOISE**2, linestyle=":", color="grey")
    axis.annotate("the noisy input itself", (len(line), REFERENCE_NOISE**2 * 1.05), color="grey", ha="right")
    axis.set_yscale("log")
    axis.set(xlabel="step", ylabel="mean squared error", title="Four networks, one task")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_out(parser, "convergence")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    photos = photographs(TRAINING)
    losses, gradients = {}, {}
    for name, (depth, shortcuts, last_activation) in NETWORKS.items():
        torch.manual_seed(args.seed)
        network = Denoiser(depth, shortcuts, last_activation)
        gradients[name] = gradient_sizes(network, photos, args.seed)
        losses[name] = train(network, photos, args.steps, args.seed)
        tail = losses[name][-SMOOTH:]
        first, last = gradients[name]
        print(
            f"{name:32} loss at the end {sum(tail) / len(tail):.4f}; gradient at the start: "
            f"first layer {first:.0e}, last layer {last:.0e}",
            flush=True,
        )
    save(draw(losses), args.out / "convergence.png")
    write_record(args.out / "convergence.json", {"losses": losses, "gradients": gradients})
    print(f"written: {args.out / 'convergence.png'}, {args.out / 'convergence.json'}")


if __name__ == "__main__":
    main()
