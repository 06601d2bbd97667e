"""Everything that only a GPU can show: tests, compute-sanitizer if installed, and the benchmark.

    python tests/gpu/everything.py [--json FILE] [--look]

--look only says whether there is a GPU. Exits with 3 where there is none, else with 1 if anything failed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
PYTEST = (
    *(sys.executable, "-m", "pytest", f"--rootdir={ROOT}", f"-c{ROOT / 'pyproject.toml'}"),
    *("-p", "no:cacheprovider"),
)
TOOLS = ("memcheck", "racecheck", "synccheck")
NO_GPU = 3


def run(name: str, command: Sequence[str], **variables: str) -> str | None:
    """The name of a step that failed, or None."""
    print(f"\n== {name}", flush=True)
    done = subprocess.run(command, env={**os.environ, **variables})
    return f"{name} (exit status {done.returncode})" if done.returncode else None


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Everything that only a GPU can show.")
    parser.add_argument("--json", type=Path, default=Path("gpu.json"), help="the figures go there")
    parser.add_argument("--look", action="store_true", help="only say whether there is a GPU")
    arguments = parser.parse_args(argv)
    if not torch.cuda.is_available():
        print(f"no GPU: torch {torch.__version__} finds none, so nothing was run")
        return NO_GPU
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    print(f"GPUs: {', '.join(names)}")
    if arguments.look:
        return 0
    tests = [str(ROOT / "tests" / name) for name in ("gpu", "ops", "compat")]
    # before anything calls cuBLAS, which torch asks for it when algorithms must be deterministic
    steps = [run("tests", [*PYTEST, *tests], CUBLAS_WORKSPACE_CONFIG=":4096:8")]
    sanitizer = shutil.which("compute-sanitizer")
    for tool in TOOLS if sanitizer else ():
        command = [str(sanitizer), "--tool", tool, "--error-exitcode", "1", *PYTEST, "-q"]
        test = [str(ROOT / "tests" / "gpu"), "-k", "test_every_kernel"]
        # without torch's cache, in which an access beyond a tensor meets another's memory
        steps.append(run(tool, [*command, *test], PYTORCH_NO_CUDA_MEMORY_CACHING="1"))
    if not sanitizer:
        print("\nwithout compute-sanitizer: none on PATH")
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    benchmark = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--json", str(arguments.json)]
    steps.append(run("benchmark", benchmark))
    failed = [step for step in steps if step]
    print(
        f"\nfailed: {', '.join(failed)}" if failed else f"\nall passed; figures: {arguments.json}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
