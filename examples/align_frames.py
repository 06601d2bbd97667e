"""Restores noisy frames with the help of shaken neighbours: `python examples/align_frames.py`.

Trains the network of `alignment_network` twice for each seed, with a deformable convolution and with ordinary ones, on
the bursts of `shaken_frames`, and compares their PSNR on a photograph that neither has seen. `--out` gets the
checkpoints, TensorBoard's logs, a picture for each seed and the numbers. A run that was interrupted goes on where its
last checkpoint is when the same command is given again, and ends with the same result.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from alignment_network import AlignmentNetwork
from matplotlib.figure import Figure
from records import add_out, save, write_record
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from shaken_frames import (
    MARGIN,
    NEIGHBOURS,
    TRAINING,
    VALIDATION,
    Burst,
    make_bursts,
    photographs,
    psnr,
)
from torch import Tensor
from torch.nn import functional
from torch.utils.tensorboard import SummaryWriter

KINDS = ("plain", "deformable")
LEARNING_RATE = 4e-3
WARM_UP = 20
#: The validation's seed, which no training step reaches, and its size.
VALIDATION_SEED, VALIDATION_BURSTS, VALIDATION_SIZE = 10**9, 32, 64
#: The part of the picture's crop of 256 x 256 pixels that is shown enlarged.
DETAIL = (slice(172, 236), slice(156, 220))
#: Steps of one seed before the next seed's bursts begin.
SEED_STRIDE = 10**6


def learning_rate(step: int, steps: int) -> float:
    """Returns a factor that rises for `WARM_UP` steps, then falls along a half cosine."""
    return LEARNING_RATE * min(1, (step + 1) / WARM_UP) * (1 + math.cos(math.pi * step / steps)) / 2


class Training:
    """Holds one network in training, as a checkpoint does.

    Args:
        settings: what decides the result: kind, seed, steps, batch and size. A checkpoint of others is refused.
        path: of the checkpoint; if it is there, the training goes on from it.

    Raises:
        ValueError: the checkpoint is of other settings.
    """

    def __init__(self, settings: dict[str, Any], path: Path) -> None:
        self.settings, self.path = settings, path
        torch.manual_seed(settings["seed"])
        self.network = AlignmentNetwork(settings["kind"] == "deformable", NEIGHBOURS)
        self.optimizer = torch.optim.Adam(self.network.parameters(), betas=(0.9, 0.99))
        self.step = 0
        self.seconds = 0.0
        if path.exists():
            state = torch.load(path, weights_only=True)
            if state["settings"] != settings:
                raise ValueError(
                    f"{path} is a checkpoint of {state['settings']}, not of {settings}: "
                    "give another --out, or delete it"
                )
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Writes the checkpoint, whole or not at all."""
        state = {
            "settings": self.settings,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        temporary = self.path.with_suffix(".new")
        torch.save(state, temporary)
        temporary.replace(self.path)

    def advance(self, photos: list[Tensor]) -> float:
        """Makes one step of Adam on the root mean squared error; returns the PSNR of its batch in dB.

        The batch follows from the seed and the step alone, so that a resumed training sees what an uninterrupted one
        does.
        """
        started = time.perf_counter()
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.settings["steps"])
        burst = make_bursts(
            photos,
            self.settings["batch"],
            self.settings["size"],
            self.settings["seed"] * SEED_STRIDE + self.step,
        )
        output = self.network(burst.reference, burst.neighbours)
        inner = (..., slice(MARGIN, -MARGIN), slice(MARGIN, -MARGIN))
        loss = functional.mse_loss(output[inner], burst.clean[inner]).sqrt()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self.seconds += time.perf_counter() - started
        return -20 * math.log10(loss.item())


def restore(network: AlignmentNetwork, burst: Burst) -> Tensor:
    """Returns the network's output for a burst, [B, 1, S, S], in pieces of eight."""
    with torch.no_grad():
        pieces = zip(burst.reference.split(8), burst.neighbours.split(8))
        return torch.cat([network(*piece) for piece in pieces]).clamp(0, 1)


def train(training: Training, photos: list[Tensor], validation: Burst, args: Any) -> None:
    """Trains to the end, with a progress bar, a log and checkpoints."""
    name = training.path.stem
    columns = (
        TextColumn(name),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[quality]}"),
        TimeRemainingColumn(),
    )
    steps = training.settings["steps"]
    log = SummaryWriter(args.out / "tensorboard" / name, purge_step=training.step)
    with log, Progress(*columns) as bar:
        task = bar.add_task(name, total=steps, completed=training.step, quality="")
        while training.step < steps:
            quality = training.advance(photos)
            bar.update(task, advance=1, quality=f"PSNR {quality:.1f} dB")
            log.add_scalar("psnr/training", quality, training.step - 1)
            if training.step % args.every == 0 or training.step == steps:
                now = psnr(restore(training.network, validation), validation.clean)
                log.add_scalar("psnr/validation", now, training.step - 1)
                log.flush()
                training.save()


def draw(burst: Burst, outputs: dict[str, Tensor]) -> Figure:
    """Draws one large crop: the noisy frame, a neighbour, what both networks make of them, and the clean one."""
    panels = {
        "frame, noisy": burst.reference,
        "a neighbour, shaken": burst.neighbours[:, 0],
        "plain convolutions": outputs["plain"],
        "deformable convolution": outputs["deformable"],
        "clean": burst.clean,
    }
    figure = Figure(figsize=(15, 6.4), layout="constrained")
    rows = figure.subplots(2, len(panels))
    for column, (name, image) in zip(rows.T, panels.items(), strict=True):
        quality = f"\nPSNR {psnr(image, burst.clean):.1f} dB" if name != "clean" else "\n"
        column[0].set_title(name + quality)
        for axis, shown in zip(column, (image[0, 0], image[0, 0][DETAIL]), strict=True):
            axis.imshow(shown.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_axis_off()
    return figure


def run_seed(seed: int, args: Any) -> dict[str, Any]:
    """Trains both networks, writes the picture, and returns the numbers of this seed."""
    photos = photographs(TRAINING)
    validation = make_bursts(photographs(VALIDATION), VALIDATION_BURSTS, VALIDATION_SIZE, VALIDATION_SEED)
    large = make_bursts(photographs(VALIDATION), 1, 256, VALIDATION_SEED + 2)
    result: dict[str, Any] = {"seed": seed, "noisy": psnr(validation.reference, validation.clean)}
    outputs = {}
    for kind in KINDS:
        settings = {"kind": kind, "seed": seed, "steps": args.steps}
        settings |= {"batch": args.batch, "size": args.size}
        training = Training(settings, args.out / f"{kind}-seed{seed}.pt")
        train(training, photos, validation, args)
        network = training.network
        result[kind] = psnr(restore(network, validation), validation.clean)
        result[f"{kind} parameters"] = sum(tensor.numel() for tensor in network.parameters())
        result[f"{kind} seconds"] = round(training.seconds, 1)
        outputs[kind] = restore(network, large)
    save(draw(large, outputs), args.out / f"align_frames-seed{seed}.png")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_out(parser, "align_frames")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="SEED")
    parser.add_argument("--steps", type=int, default=400, help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=8, help="bursts in a step")
    parser.add_argument("--size", type=int, default=64, help="pixels of a crop; a multiple of 4")
    parser.add_argument("--every", type=int, default=50, help="steps between checkpoints")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in args.seeds:
        try:
            results.append(run_seed(seed, args))
        except ValueError as error:
            sys.exit(str(error))
        found = results[-1]
        print(
            f"seed {seed}: noisy {found['noisy']:.2f} dB, "
            f"plain {found['plain']:.2f} dB ({found['plain parameters']} parameters), "
            f"deformable {found['deformable']:.2f} dB ({found['deformable parameters']} parameters)"
        )
    margins = [found["deformable"] - found["plain"] for found in results]
    print(f"the deformable network is better by {statistics.median(margins):.2f} dB (median)")
    write_record(args.out / "align_frames.json", {"seeds": results, "margins": margins})


if __name__ == "__main__":
    main()
