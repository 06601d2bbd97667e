"""Compiles the fused kernels by Triton, without a GPU, and checks what becomes of them.

    python tests/fused/report.py [sm_80 sm_90 …]

Architectures before sm_80 are left out, which these kernels do not serve. For each other one, kernel, dtype and tile
that a call may take: registers, bytes on the stack (spilled registers are there), shared memory, and instructions of
tensor cores. Exits with 1 if a kernel breaks a limit, 2 if there is no triton.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcnbuild.ops.fused.configs import Config, candidates

ARCHITECTURES = ("sm_80", "sm_90", "sm_100", "sm_120")
#: dtype of the input in Triton's words, its bytes, and how its product is computed.
DTYPES = (("fp16", 2, "ieee"), ("bf16", 2, "ieee"), ("fp32", 4, "tf32x3"), ("fp32", 4, "tf32"))
#: Bytes of shared memory that a block may have on compute capability 8.6, 8.9 and 12.0, the least of all from 8.0 on.
SHARED = 99 << 10
#: Where a block may have more. A tile after the first may need them: a GPU that lacks them leaves it out.
MORE_SHARED = {"sm_80": 163 << 10, "sm_90": 227 << 10, "sm_100": 227 << 10}
#: Bytes of the stack of one thread: a few spilled registers cost less than a smaller tile.
STACK = 64
COUNTS = ("taps", "group_channels", "group_outputs", "offset_channels", "segment")
#: Instructions of tensor cores: up to Ada and of consumers' Blackwell, of Hopper, of Blackwell.
PRODUCT = re.compile(r"mma\.sync|wgmma\.mma_async|tcgen05\.mma")


@dataclass(frozen=True)
class Compiled:
    """What became of one kernel with one tile, which is the number `place` of those to try."""

    kernel: str
    dtype: str
    architecture: str
    tile: Config
    place: int
    registers: int
    stack: int
    shared: int
    products: int

    def violations(self) -> Iterator[str]:
        tile = f"{self.tile.BM}x{self.tile.BN}x{self.tile.BK}"
        name = f"{self.kernel} {self.dtype} {self.architecture} {tile}"
        shared = MORE_SHARED.get(self.architecture, SHARED) if self.place else SHARED
        if not self.products:
            yield f"{name}: no instruction of tensor cores"
        if self.shared > shared:
            yield f"{name}: {self.shared} bytes of shared memory, of {shared}"
        if self.stack > STACK:
            yield f"{name}: {self.stack} bytes on the stack, expected at most {STACK}"


def kernels() -> dict[str, Any]:
    from dcnbuild.ops.fused import gradients
    from dcnbuild.ops.fused.kernels import forward_kernel

    return {
        "forward": forward_kernel,
        "samples": gradients.sample_gradients_kernel,
        "weight": gradients.weight_gradients_kernel,
    }


def tiles(name: str, size: int) -> tuple[Config, ...]:
    """What a large call of a kernel may take."""
    return candidates(name, size, 1024, 1024, 1024)  # type: ignore[arg-type]


def compile_kernel(
    name: str, dtype: str, size: int, precision: str, architecture: str, place: int = 0, ones: bool = False
) -> Compiled:
    """Compiles a kernel with one of its tiles and all that it can do.

    The first tile serves every GPU. With `ones`, all counts and strides that may be 1 are: Triton then compiles another kernel, which knows them.
    """
    import triton
    import triton.language as tl
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from dcnbuild.ops.fused.kernels import GEOMETRY

    kernel = kernels()[name]
    config = tiles(name, size)[place]
    flags = {"HAS_MASK", "HAS_BIAS", "WITH_IMAGE", "WITH_OFFSET", "WITH_MASK"}
    known = {**dict.fromkeys(flags, True), "PRECISION": precision, "ACC": tl.float32}
    known |= {"BM": config.BM, "BN": config.BN, "BK": config.BK}
    signature, constants, hints = {}, {}, {}
    for index, argument in enumerate(kernel.arg_names):
        if ones and (argument in COUNTS or argument.endswith(("_c", "_w"))):
            known[argument] = 1
        if argument in known and argument not in GEOMETRY:
            signature[argument], constants[index,] = "constexpr", known[argument]
            continue
        sums = argument in ("grad_image", "grad_weight")
        tensor = argument in ("image", "offset", "mask", "weight", "bias", "output") or (
            argument.startswith("grad_") and not argument.endswith(("_n", "_c", "_h", "_w"))
        )
        signature[argument] = ("*fp32" if sums else f"*{dtype}") if tensor else "i32"
        if argument not in GEOMETRY:
            hints[index,] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature=signature, constexprs=constants, attrs=hints)
    target = GPUTarget("cuda", int(architecture.removeprefix("sm_")), 32)
    options = {"num_warps": config.warps, "num_stages": config.stages}
    made = triton.compile(source, target=target, options=options)
    used = resources(made.asm["cubin"])
    return Compiled(
        *(name, f"{dtype} {precision}" if dtype == "fp32" else dtype, architecture, config, place),
        *(used["REG"], used["STACK"] + used["LOCAL"], made.metadata.shared),
        products=len(PRODUCT.findall(made.asm["ptx"])),
    )


def resources(cubin: bytes) -> dict[str, int]:
    """What cuobjdump, which comes with Triton, says that a kernel takes."""
    import triton

    program = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(program), "--dump-resource-usage", file.name]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {name: int(value) for name, value in re.findall(r"(REG|STACK|LOCAL):(\d+)", text)}


def main(architectures: Sequence[str]) -> int:
    try:
        import triton  # noqa: F401
    except ImportError:
        print("no triton; torch's wheels for CUDA on Linux bring it", file=sys.stderr)
        return 2
    broken = []
    print("| kernel | dtype | architecture | tile | warps | registers | stack | shared bytes | products |")
    print(f"|{' --- |' * 9}", flush=True)
    wanted = [name for name in architectures or ARCHITECTURES if int(name.removeprefix("sm_")) >= 80]
    for architecture in wanted:
        for name in kernels():
            for dtype in DTYPES:
                for place, tile in enumerate(tiles(name, dtype[1])):
                    made = compile_kernel(name, *dtype, architecture, place)
                    sides = f"{tile.BM}x{tile.BN}x{tile.BK}"
                    cells = (name, made.dtype, architecture, sides, tile.warps, made.registers, made.stack)
                    print("|", " | ".join(map(str, (*cells, made.shared, made.products))), "|", flush=True)
                    broken += made.violations()
    print(*broken, sep="\n", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
