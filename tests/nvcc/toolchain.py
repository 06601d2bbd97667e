"""Compiles kernels.cu with a CUDA toolkit and disassembles the result.

The disassembler is cuobjdump with nvdisasm: the toolkit's, or those of the packages nvidia-cuda-cuobjdump and
nvidia-cuda-nvdisasm in this environment.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from nvcc.kernel import Kernel, parse_ptxas, parse_sass

from dcnbuild.machine.facts import Toolkit
from dcnbuild.machine.site import site_packages

SOURCE = Path(__file__).with_name("kernels.cu")
CSRC = Path(__file__).resolve().parents[2] / "csrc"
FLAGS = (f"-I{CSRC}", "-std=c++17", "-O3", "--expt-relaxed-constexpr", "-cubin", "-Xptxas", "-v")


def disassembler(toolkit: Toolkit) -> Path | None:
    """A cuobjdump that has nvdisasm beside it, or None."""
    places = [toolkit.nvcc.parent]
    places += [site / "nvidia" / "cu13" / "bin" for site in site_packages(Path(sys.prefix))]
    places += [Path(found).parent for found in [shutil.which("cuobjdump")] if found]
    for place in places:
        if (place / "cuobjdump").is_file() and (place / "nvdisasm").is_file():
            return place / "cuobjdump"
    return None


def architectures(toolkit: Toolkit) -> list[str]:
    """What the toolkit's nvcc can compile for, e.g. ["sm_75", "sm_80"]."""
    command = [str(toolkit.nvcc), "--list-gpu-code"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [name for name in output.split() if re.fullmatch(r"sm_\d+", name)]


def compile_kernels(toolkit: Toolkit, architecture: str) -> list[Kernel]:
    """Every kernel as this toolkit compiles it. Raises CalledProcessError if it does not."""
    with tempfile.TemporaryDirectory() as scratch:
        cubin = Path(scratch, "kernels.cubin")
        command = [str(toolkit.nvcc), *FLAGS, f"-arch={architecture}", str(SOURCE)]
        done = subprocess.run([*command, "-o", str(cubin)], capture_output=True, text=True)
        if done.returncode != 0:
            print(done.stderr, file=sys.stderr)
            done.check_returncode()
        kernels = parse_ptxas(done.stderr)
        tool = disassembler(toolkit)
        if tool is None:
            return list(kernels.values())
        environment = {**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}"}
        sass = subprocess.run(
            [str(tool), "-sass", str(cubin)],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        ).stdout
    return [replace(kernels[symbol], instructions=instructions) for symbol, instructions in parse_sass(sass).items()]
