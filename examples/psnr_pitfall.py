"""Compares the PSNR of uint8 images, computed without a cast, with the right value: `python examples/psnr_pitfall.py`.

A uint8 holds 0 to 255 and counts modulo 256, in numpy as in torch: 100 - 200 is 156, and 156 * 156 is 16. The
script prints the PSNR of one pair of images four ways and writes a plot of PSNR against noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import skimage.data
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from records import add_out, save, write_record
from skimage.metrics import peak_signal_noise_ratio as psnr_of_skimage
from torchmetrics.functional.image import peak_signal_noise_ratio as psnr_of_torchmetrics

Image = NDArray[np.uint8]
PEAK = 255.0
#: Standard deviations of the noise in the plot, in grey levels.
NOISE = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96)
#: The noise of the pair whose values are printed.
PRINTED = 32


def decibels(mean_squared_error: float) -> float:
    return float(10 * np.log10(PEAK**2 / mean_squared_error))


def psnr(image: Image, reference: Image) -> float:
    """Returns the right PSNR in dB of two uint8 images: both become floats before anything is computed."""
    difference = image.astype(np.float64) - reference.astype(np.float64)
    return decibels(float(np.mean(difference**2)))


def psnr_without_cast(image: Image, reference: Image) -> float:
    """Returns a wrong value: difference and square are uint8 as well, and both wrap modulo 256."""
    return decibels(float(np.mean((image - reference) ** 2)))


def psnr_cast_too_late(image: Image, reference: Image) -> float:
    """Returns a wrong value: the difference has wrapped before it becomes a float."""
    return decibels(float(np.mean((image - reference).astype(np.float64) ** 2)))


def torchmetrics_psnr(image: Image, reference: Image) -> float:
    preds, target = (torch.from_numpy(array.astype(np.float32)) for array in (image, reference))
    return psnr_of_torchmetrics(preds, target, data_range=PEAK).item()


def skimage_psnr(image: Image, reference: Image) -> float:
    return float(psnr_of_skimage(reference, image, data_range=int(PEAK)))


#: What is printed, and drawn: name → function.
WAYS: dict[str, Callable[[Image, Image], float]] = {
    "uint8 all the way": psnr_without_cast,
    "cast after the subtraction": psnr_cast_too_late,
    "cast first": psnr,
    "torchmetrics": torchmetrics_psnr,
    "scikit-image": skimage_psnr,
}


def noisy(reference: Image, deviation: float, seed: int = 0) -> Image:
    """Returns the image with Gaussian noise, rounded and clipped to 0..255."""
    noise = np.random.default_rng(seed).normal(0, deviation, reference.shape)
    return np.clip(np.rint(reference + noise), 0, PEAK).astype(np.uint8)


def explain() -> str:
    """Shows on one pixel where the wrap comes from."""
    a, b = np.array([100], np.uint8), np.array([200], np.uint8)
    return (
        f"one pixel, 100 against 200: the difference is {int((a - b)[0])} in uint8 (-100 modulo 256), "
        f"its square {int(((a - b) ** 2)[0])} (10000 modulo 256);\n"
        f"squared as a float after the subtraction {float((a - b)[0]) ** 2:.0f}, in truth {float(-100) ** 2:.0f}"
    )


def draw(deviations: tuple[int, ...], values: dict[str, list[float]]) -> Figure:
    """Draws PSNR against noise: the wrong ways as lines with marks, the right ones on top of each other."""
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    axis = figure.subplots()
    styles = ("o-", "s-", "k-", "C2x", "C4+")
    for (name, line), style in zip(values.items(), styles):
        axis.plot(deviations, line, style, label=name, markersize=8 if style[-1] in "x+" else 5)
    floor = decibels(PEAK)
    axis.axhline(floor, linestyle=":", color="grey")
    axis.annotate(f"a uint8 square is at most 255: never below {floor:.1f} dB", (1, floor - 1.8), color="grey")
    axis.set_xscale("log")
    axis.set_xticks(deviations, [str(deviation) for deviation in deviations])
    axis.minorticks_off()
    axis.set(xlabel="noise, standard deviation in grey levels", ylabel="PSNR in dB")
    axis.set_title("PSNR of one photograph and its noisy copy, computed in five ways")
    axis.legend()
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_out(parser, "psnr_pitfall")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)

    photograph = skimage.data.astronaut()
    values = {
        name: [way(noisy(photograph, deviation), photograph) for deviation in NOISE] for name, way in WAYS.items()
    }
    print(explain())
    print(f"\nPSNR of a photograph with noise of {PRINTED} grey levels:")
    for name, line in values.items():
        print(f"  {name:27} {line[NOISE.index(PRINTED)]:6.2f} dB")
    save(draw(NOISE, values), out / "psnr_pitfall.png")
    write_record(out / "psnr_pitfall.json", {"noise": NOISE, "psnr": values})
    print(f"\nwritten: {out / 'psnr_pitfall.png'}, {out / 'psnr_pitfall.json'}")


if __name__ == "__main__":
    main()
