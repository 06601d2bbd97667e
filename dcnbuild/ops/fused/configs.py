"""The sizes of the fused kernels' tiles: plain functions of a call's sizes and the GPU's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kernel = Literal["forward", "samples", "weight"]
#: Bytes that a call's copies and partial sums take at most, beside one image or one gradient of the weight.
WORKSPACE = 64 << 20
#: Rows of one launch at most: their numbers are 32 bits wide.
ROW_LIMIT = 1 << 30
#: The least side of a tile that tensor cores multiply.
LEAST = 16


@dataclass(frozen=True)
class Config:
    """A product of BM x BK by BK x BN at a time, by `warps` warps that load `stages` steps ahead."""

    BM: int
    BN: int
    BK: int
    warps: int = 4
    stages: int = 2


#: What fits every GPU from compute capability 8.0 on (99 KiB of shared memory: tests/fused/report.py compiles it) comes
#: first; the others are tried where a call may be measured.
_CANDIDATES: dict[tuple[Kernel, int], tuple[Config, ...]] = {
    ("forward", 2): (Config(64, 128, 32, 8), Config(64, 64, 32), Config(32, 256, 32, 8)),
    ("forward", 4): (Config(64, 64, 16, 8), Config(64, 64, 32, 8), Config(64, 128, 32, 8)),
    ("samples", 2): (Config(64, 64, 32, 8), Config(64, 32, 32), Config(64, 64, 64, 8)),
    ("samples", 4): (Config(64, 32, 32, 8), Config(32, 64, 32, 8), Config(64, 32, 16, 8)),
    ("weight", 2): (Config(64, 128, 32, 8), Config(64, 64, 32), Config(64, 256, 32, 8)),
    ("weight", 4): (Config(64, 64, 32, 8), Config(64, 128, 32, 8), Config(32, 128, 32, 8)),
}


def _ceil_power(number: int) -> int:
    return 1 << max(number - 1, 0).bit_length()


def candidates(kernel: Kernel, element_size: int, m: int, n: int, k: int) -> tuple[Config, ...]:
    """The tiles to try for a product of `m` by `n` over `k`, none much larger than the product itself.

    Args:
        element_size: of the input, in bytes; 8 is computed like 4.
        m, n, k: rows, columns and terms of the product that the kernel's tiles divide.
    """

    def fitted(config: Config) -> Config:
        def side(given: int, size: int) -> int:
            return max(LEAST, min(given, _ceil_power(size)))

        sides = (side(config.BM, m), side(config.BN, n), side(config.BK, k))
        return Config(*sides, config.warps, config.stages)

    return tuple(dict.fromkeys(map(fitted, _CANDIDATES[kernel, min(element_size, 4)])))


def images_at_once(batch: int, positions: int, image_bytes: int, programs: int = 0) -> int:
    """How many images one launch takes, whose copies take `image_bytes` each (0 without a copy)."""
    images = ROW_LIMIT // max(positions, programs // LEAST, 1)
    if image_bytes:
        images = min(images, WORKSPACE // image_bytes)
    return max(1, min(batch, images))


def split_rows(rows: int, tiles: int, step: int, processors: int, weight_bytes: int) -> int:
    """How many rows one program of the weight's gradient sums: a multiple of `step`.

    There are `tiles` programs for each split of the rows. Four for each multiprocessor keep the GPU busy; every split
    costs `weight_bytes` of partial sums, and needs rows enough to be worth its start.
    """
    wanted = blocks(4 * processors, max(tiles, 1))
    most = min(WORKSPACE // max(weight_bytes, 1), blocks(rows, 8 * step))
    return blocks(blocks(rows, max(1, min(wanted, most))), step) * step


def blocks(size: int, block: int) -> int:
    """How many blocks cover a size."""
    return (size + block - 1) // block
