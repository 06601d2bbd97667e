"""`dcnbuild demo`: the command line of the demo."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dcnbuild.base.printable import said
from dcnbuild.builder import native
from dcnbuild.builder.sources import Library
from dcnbuild.errors import FindingError

OUTPUT = Path("dcnbuild-demo.png")
#: Modules that the demo imports besides the standard library and dcnbuild; `dcnbuild[demo]` installs them.
_EXTRA = ("torch", "rich", "matplotlib", "PIL", "numpy")
#: The largest seed that every generator of torch accepts.
_LARGEST = 2**63 - 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        type=Path,
        default=OUTPUT,
        metavar="PNG",
        help="write the picture to this file (default: %(default)s)",
    )
    parser.add_argument(
        "--photo",
        type=Path,
        metavar="FILE",
        help="use your photograph instead of matplotlib's",
    )
    parser.add_argument(
        "--size",
        type=_at_least(1),
        default=600,
        help="shrink the photograph until its longer side has at most this many pixels (default: %(default)s)",
    )
    parser.add_argument(
        "--steps",
        type=_at_least(1),
        default=240,
        help="run this many steps of the optimiser (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=_at_least(0),
        default=0,
        help="seed the random warp (default: %(default)s)",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="run on this device; auto takes the GPU if torch finds one and kernels exist for it",
    )


def _at_least(lowest: int) -> Callable[[str], int]:
    def integer(text: str) -> int:
        value = int(text)
        if not lowest <= value <= _LARGEST:
            raise argparse.ArgumentTypeError(f"{value} is not from {lowest} to {_LARGEST}")
        return value

    return integer


def run(args: argparse.Namespace) -> int:
    """Aligns the frames, prints the results and writes the picture; returns 1 if a package, file or device is
    missing.
    """
    started = time.perf_counter()
    _say("loading torch and a photograph")
    try:
        import torch

        from dcnbuild.demo import align, comparison, figure, frames, progress
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        return _fail(f"{missing} is not installed; to install it: pip install 'dcnbuild[demo]'")
    try:
        _check_output(args.output)
        photograph = frames.read_photograph(args.size, args.photo)
        device = choose_device(args.device)
    except (FindingError, OSError, ValueError) as error:
        return _fail(said(error))

    pair = frames.make_frames(photograph, args.seed)
    height, width = photograph.shape[2:]
    lengths = pair.offset.norm(dim=1)
    print(
        f"photograph: {width} x {height} pixels; the second frame is warped smoothly, "
        f"by {lengths.mean():.1f} pixels on average and {lengths.max():.1f} at most (seed {args.seed})"
    )
    print(f"operator: dcnbuild.deform_conv2d on {device}, route {native.status(device).route}")

    model = align.Alignment(height, width).to(device)
    frame, reference = pair.warped.to(device), pair.reference.to(device)
    with progress.training_bar(args.steps) as after_step:
        align.train(model, frame, reference, args.steps, after_step)
    with torch.no_grad():
        aligned, offset = model(frame).cpu(), model.offset(height, width).cpu()

    before, after = (align.psnr(image, pair.reference) for image in (pair.warped, aligned))
    print(
        f"PSNR: {before:.2f} dB before, {after:.2f} dB after alignment ({after - before:+.2f} dB); "
        f"float32, data_range {align.DATA_RANGE}, all pixels"
    )
    miss = (offset - pair.offset).norm(dim=1).mean()
    print(f"offsets: {miss:.2f} pixels from the true ones on average")
    _say("comparing with torchvision")
    compared = comparison.compare_with_torchvision(frame, offset.to(device), model.weight)
    print(f"time: {compared}")
    try:
        figure.save(figure.draw(pair, aligned, offset), args.output)
    except OSError as error:
        return _fail(f"cannot write {args.output}: {error}")
    print(f"wrote {args.output}, {time.perf_counter() - started:.0f} seconds in all")
    return 0


def _say(message: str) -> None:
    """Prints progress on standard error at once; results go to standard output."""
    print(f"dcnbuild demo: {message}", file=sys.stderr, flush=True)


def _fail(message: str) -> int:
    _say(message)
    return 1


def _check_output(path: Path) -> None:
    """Raises OSError if the picture cannot be written, before the training starts."""
    if path.is_dir():
        raise IsADirectoryError(f"--output {path} is a directory, expected the name of a PNG file")
    parent = path.resolve().parent
    if not parent.is_dir():
        raise FileNotFoundError(f"--output {path}: there is no directory {parent}")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(f"--output {path}: no right to write into {parent}")


def choose_device(wanted: str) -> Library:
    """Returns the device to run on, and loads or builds its kernels.

    Raises:
        FindingError: the device has no kernels and none can be built.
        ValueError: "cuda" is wanted, and torch finds no GPU.
    """
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda, but torch finds no GPU; `dcnbuild doctor` says why")
    if wanted != "cpu" and torch.cuda.is_available():
        try:
            native.ensure("cuda")
            return "cuda"
        except FindingError as error:
            if wanted == "cuda":
                raise
            print(f"the GPU stays unused. {error}")
    native.ensure("cpu")
    return "cpu"
