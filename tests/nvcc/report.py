"""Compiles the kernels by every CUDA toolkit found; prints tables of registers and spills, and every broken limit.

    PYTHONPATH=tests python tests/nvcc/report.py [sm_XX ...]

compiles for these architectures, or for all of the toolkit. Exits with 1 if a kernel breaks a limit, with 2 without a
toolkit or a disassembler.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from nvcc.kernel import Kernel
from nvcc.limits import violations
from nvcc.toolchain import architectures, compile_kernels, disassembler

from dcnbuild.machine.toolkits import find_toolkits


def markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def share(occupancy: float | None) -> str:
    return "" if occupancy is None else f"{occupancy:.0%}"


def summary(reports: dict[str, list[Kernel]]) -> str:
    """A row for each architecture: the worst of all its kernels."""
    rows = []
    for architecture, kernels in reports.items():
        known = [kernel.occupancy() for kernel in kernels]
        rows.append(
            [
                *(architecture, len(kernels), max(kernel.registers for kernel in kernels)),
                share(min((value for value in known if value is not None), default=None)),
                *(
                    sum(kernel.spills for kernel in kernels),
                    sum(kernel.stack for kernel in kernels),
                ),
                sum(kernel.count("LDL", "STL") for kernel in kernels),
            ]
        )
    head = ("architecture", "kernels", "registers, most", "occupancy, least", "spilled bytes")
    return markdown([*head, "stack bytes", "local memory instructions"], rows)


def details(reports: dict[str, list[Kernel]]) -> str:
    """A row for each kernel and architecture."""
    kernels = [kernel for kernels in reports.values() for kernel in kernels]
    rows = [
        [
            *(f"`{kernel.name}`", kernel.architecture, kernel.registers, share(kernel.occupancy())),
            *(kernel.shared, kernel.count("LDG.E.128"), kernel.count("STG.E.128")),
            ", ".join(sorted(kernel.atomics())),
        ]
        for kernel in sorted(kernels, key=lambda kernel: kernel.name)
    ]
    head = ("kernel", "architecture", "registers", "occupancy", "shared bytes")
    return markdown([*head, "16-byte loads", "16-byte stores", "atomics"], rows)


def main(wanted: Sequence[str]) -> int:
    toolkits = find_toolkits(os.environ)
    if not toolkits:
        print("no CUDA toolkit found (see `dcnbuild doctor`)", file=sys.stderr)
        return 2
    broken = []
    for toolkit in toolkits:
        if disassembler(toolkit) is None:
            print(
                f"no cuobjdump and nvdisasm beside {toolkit.nvcc} or in {sys.prefix}",
                file=sys.stderr,
            )
            return 2
        known = architectures(toolkit)
        names = [name for name in wanted or known if name in known]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            compiled = pool.map(partial(compile_kernels, toolkit), names)
            reports = dict(zip(names, compiled))
        for table in (summary(reports), details(reports)):
            print(f"CUDA {toolkit.version}\n\n{table}\n")
        for architecture, kernels in reports.items():
            broken += [
                f"CUDA {toolkit.version}, {architecture}: {text}" for text in violations(kernels, toolkit.version)
            ]
    print(*broken, sep="\n", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
