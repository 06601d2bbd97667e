"""Measures what compiling dcnbuild costs, beside one empty CUDA file that includes torch/extension.h.

    python benchmarks/build_cost.py [--json FILE]

CPU seconds (user and system, of all children), each compiled from nothing for one GPU architecture with the toolkit and
the torch at hand. The goal: all of dcnbuild, CPU and CUDA, every dtype, for less than half of what the empty file
costs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from dcnbuild.builder.compile import compile_library, plan_here
from dcnbuild.builder.sources import LIBRARIES
from dcnbuild.machine.torch_install import find_torch

ARCHITECTURE = "9.0"


def cpu_seconds(work: Callable[[], object]) -> float:
    """Returns user and system seconds of the processes that `work` waited for."""

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = spent()
    work()
    return spent() - before


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args(argv)

    torch = find_torch(Path(sys.prefix))
    if torch is None or torch.cuda is None:
        print(f"needs a CUDA build of torch in {sys.prefix}, found {torch}", file=sys.stderr)
        return 2
    environment = {**os.environ, "TORCH_CUDA_ARCH_LIST": ARCHITECTURE}
    plan = plan_here(torch, environment, "on")
    assert plan.cuda is not None

    figures = {}
    with tempfile.TemporaryDirectory() as scratch:
        for library in LIBRARIES:
            directory = Path(scratch, library)
            directory.mkdir()
            build = partial(compile_library, library, plan, directory, environment, lambda *_: None)
            figures[f"dcnbuild {library}"] = cpu_seconds(build)
        empty = Path(scratch, "empty.cu")
        empty.write_text("#include <torch/extension.h>\n")
        # The headers that a trimmed toolkit lacks (cusparse.h) come with torch's own packages.
        includes = [
            torch.root / "include",
            torch.root / "include/torch/csrc/api/include",
            Path(sysconfig.get_paths()["include"]),
            *torch.root.parent.glob("nvidia/cu*/include"),
        ]
        command = [
            *(str(plan.cuda.toolkit.nvcc), "-std=c++20", "-O3", "--expt-relaxed-constexpr"),
            *("-Xcompiler=-fPIC", "-gencode", "arch=compute_90,code=sm_90"),
            *(flag for path in includes for flag in ("-isystem", str(path))),
            *("-c", str(empty), "-o", str(empty.with_suffix(".o"))),
        ]
        figures["one empty .cu with torch/extension.h"] = cpu_seconds(lambda: subprocess.run(command, check=True))

    total = figures["dcnbuild cpu"] + figures["dcnbuild cuda"]
    ratio = total / figures["one empty .cu with torch/extension.h"]
    width = max(map(len, figures))
    print(f"torch {torch.version}, CUDA {plan.cuda.toolkit.version}, sm_90, CPU seconds:")
    for name, seconds in figures.items():
        print(f"  {name:{width}}  {seconds:6.1f}")
    print(f"  {'dcnbuild in all / the empty file':{width}}  {ratio:6.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({**figures, "ratio": ratio}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
