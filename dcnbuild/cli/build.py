"""`dcnbuild build`: compiles the kernels into the cache now, so that the first call does not wait."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from dcnbuild.builder import cache, gpu_route, jit, lookup
from dcnbuild.builder.plan import CudaMode, cuda_mode
from dcnbuild.builder.sources import Library
from dcnbuild.errors import FindingError
from dcnbuild.machine.facts import TorchInstall


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--force", action="store_true", help="compile again, even if the cache has the kernels")
    parser.add_argument(
        "--cuda",
        choices=("auto", "on", "off"),
        help="compile the CUDA kernels if possible (auto), or fail (on), or never (off) (default: DCNBUILD_CUDA, "
        "or auto)",
    )


def run(args: argparse.Namespace) -> int:
    """Builds the libraries and prints their paths; returns 1 if a requested library cannot be built."""
    env = dict(os.environ)
    if args.cuda:
        env["DCNBUILD_CUDA"] = args.cuda
    try:
        mode = cuda_mode(env)
        torch = lookup.running_torch()
        _build("cpu", torch, env, args.force)
        if mode != "off":
            _build_cuda(mode, torch, env, args.force)
    except ImportError as error:
        print(f"dcnbuild: torch cannot be imported: {error}", file=sys.stderr)
        return 1
    except (FindingError, ValueError) as error:
        print(f"dcnbuild: {error}", file=sys.stderr)
        return 1
    return 0


def _build_cuda(mode: CudaMode, torch: TorchInstall, env: dict[str, str], force: bool) -> None:
    """With "auto" and no nvcc, says so and builds for NVRTC if it is there; a failed compilation is an error in any
    mode.
    """
    if mode == "auto":
        try:
            jit.make_plan("cuda", torch, env)
        except FindingError as error:
            print(f"cuda: left out. {error}")
            if gpu_route.refusal() is None:
                _build("nvrtc", torch, env, force)
            return
    _build("cuda", torch, env, force)


def _build(library: Library, torch: TorchInstall, env: dict[str, str], force: bool) -> None:
    """Builds one library and loads it in a new process, since this process may have loaded another with its name."""
    entry = jit.build_cached(library, torch, env, force=force, load=loads_in_a_child)
    print(f"{library}: {entry.path}", *entry.record.architectures)


def loads_in_a_child(entry: cache.Entry) -> str | None:
    """Loads a library into torch in a new Python; returns the reason if that fails, or None."""
    # The new Python does not import dcnbuild, so the library registers its operators itself.
    script = (
        "import sys, torch, traceback\n"
        "try:\n"
        "    [torch.ops.load_library(path) for path in sys.argv[1:]]\n"
        "except OSError as error:\n"
        "    sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(entry.path)],
        cwd=entry.directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
