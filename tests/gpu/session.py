"""Runs all tests and measurements that need a GPU, in one command of ten minutes; a fault loses only its own stage.

    python tests/gpu/session.py --wheel dist/dcnbuild-….whl --out out/gpu

The machine needs a GPU, torch and pytest, but no network, no nox and no CUDA toolkit. Each stage is a process with its
own time limit, and writes its output to its own file at once. So a hang or a poisoned CUDA context costs that stage
only. `session.jsonl` gets the lines of JSON that stages print, and a line for the end of each stage, also of one that
runs when the session itself is ended. Without a GPU, the stages run on the CPU with small sizes, as a rehearsal.

Exits with 0 if every decisive stage passed, 1 if one failed, 3 without a GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTEST = (
    *(sys.executable, "-m", "pytest", f"--rootdir={ROOT}", f"-c{ROOT / 'pyproject.toml'}"),
    *("-p", "no:cacheprovider", "-p", "gpu.poisoned", "-q"),
)
#: Its gpu.py has the name of the folder tests/gpu, so only stages that need it import from it.
BENCHMARKS = ROOT / "benchmarks"
BENCHMARK = (sys.executable, str(BENCHMARKS / "gpu.py"))
CASES = ("layer", "A", "B", "C", "D", "E")
DTYPES = ("float32", "tf32", "float16", "bfloat16")
NO_GPU = 3
#: Seconds that a process gets between SIGTERM and SIGKILL.
GRACE = 5


@dataclass(frozen=True)
class Stage:
    """One process: its limit in seconds, whether its failure is the session's, its route, whether it may be fused, and
    where else it imports from.
    """

    name: str
    command: tuple[str, ...]
    limit: float
    decisive: bool = True
    route: str | None = None
    fused: bool = False
    path: Path | None = None


def stages(gpu: bool) -> Iterator[Stage]:
    """Returns the stages, the most valuable first, since the time may end before the last."""
    device = "cuda" if gpu else "cpu"
    yield Stage("machine", (sys.executable, str(HERE / "look.py"), "machine"), 60)
    operators = Stage("operators", (sys.executable, str(HERE / "look.py"), "operators"), 60)
    yield operators

    few = () if gpu else ("--small", "--repeats", "2")

    def speed(case: str, dtypes: Sequence[str], limit: float) -> Stage:
        options = ("--cases", case, "--dtypes", *dtypes, "--device", device)
        return Stage(f"speed-{case}-{'-'.join(dtypes)}", (*BENCHMARK, *options, *few), limit, path=BENCHMARKS)

    for dtype in DTYPES:
        yield speed(CASES[0], [dtype], 30)
    # whatever the wheel holds: the same kernels by the compiler that comes with torch
    for stage in (operators, speed(CASES[0], ["float32", "float16"], 40)):
        yield replace(stage, name=f"nvrtc-{stage.name}", route="nvrtc")

    # by files, a test that ends its worker would be run again and again
    parallel = ("-n", str(min(8, os.cpu_count() or 1)), "--dist", "load") if _has("xdist") else ()
    # a test that waits for the GPU hears no signal; where workers are replaced, it ends its own
    method = ("--timeout-method", "thread") if _has("xdist") else ()
    limit = ("--timeout", "60", *method) if _has("pytest_timeout") else ()
    tests = [str(ROOT / "tests" / name) for name in ("gpu", "ops", "compat")]
    # tests of this script show nothing here, and a file that imports what is not installed costs only itself
    fused_tests = "gpu/test_fused.py"
    left_out = (
        f"--ignore={ROOT / 'tests' / name}" for name in (fused_tests, "gpu/test_session.py", "gpu/test_benchmark.py")
    )
    others = (*left_out, "--continue-on-collection-errors", "-k", "cuda or gpu")
    yield Stage("tests", (*PYTEST, *parallel, *limit, *others, *tests), 240)
    # what no GPU has measured yet: decisive for nothing
    where = (fused_tests,) if gpu else ("fused/test_kernels.py", "fused/test_register.py")
    # most of its time compiles: every test says how it ended, in case there is not enough
    fused = (*PYTEST, *parallel, "-vv", "-m", "not slow", *(str(ROOT / "tests" / name) for name in where))
    yield Stage("fused", fused, 90 if gpu else 240, decisive=not gpu)
    speeds = speed(CASES[0], ["float16", "float32", "tf32"], 60)
    yield replace(speeds, name=f"fused-{speeds.name}", decisive=not gpu, fused=True)
    for case in CASES[1:]:
        yield speed(case, ["float32", "float16"], 30)
    chunks = ("--column-bytes", *(str(mib << 20) for mib in (4, 8, 16, 32, 64)))
    sizes = ("--cases", "layer", "--dtypes", "float16", "--device", device, "--no-check", *few, *chunks)
    yield Stage("chunks", (*BENCHMARK, *sizes), 40, path=BENCHMARKS)
    yield Stage("profile", (sys.executable, str(HERE / "look.py"), "profile"), 60, path=BENCHMARKS)
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer:
        # refused on some machines, and where nothing calls CUDA; so never decisive
        test = (*PYTEST, str(HERE), "-k", "test_every_kernel")
        for tool in ("memcheck", "racecheck"):
            command = (sanitizer, "--tool", tool, "--error-exitcode", "1", *_only_ours(sanitizer), *test)
            yield Stage(tool, command, 60, decisive=False)


def _only_ours(sanitizer: str) -> tuple[str, ...]:
    """Options that leave out torch's kernels, which take most of the time; old sanitizers have none."""
    said = subprocess.run([sanitizer, "--help"], capture_output=True, text=True, errors="replace").stdout
    return ("--kernel-name", "kernel_substring=dcnbuild") if "--kernel-name" in said else ()


def _has(module: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(module) is not None


def run(stage: Stage, seconds: float, out: Path, env: Mapping[str, str]) -> tuple[str, int | None]:
    """Runs a stage for so many seconds at most. Returns how it ended and its exit status, None if it was ended.

    What it has started ends with it, however that was: a process that is left over would keep the GPU.
    """
    if stage.route:
        env = {**env, "DCNBUILD_ROUTE": stage.route}
    if stage.fused:
        env = {**env, "DCNBUILD_FUSED": "on"}
    if stage.path:
        env = {**env, "PYTHONPATH": os.pathsep.join([env["PYTHONPATH"], str(stage.path)])}
    with (out / f"{stage.name}.log").open("wb") as log:
        process = subprocess.Popen(stage.command, stdout=log, stderr=subprocess.STDOUT, env=env, start_new_session=True)
        status = None
        try:
            status = _wait(process, seconds)
        finally:
            for number in (signal.SIGKILL,) if status is not None else (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)
                _wait(process, GRACE)
    if status is None:
        return "timed out", None
    return "passed" if status == 0 else "failed", status


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Its exit status, or None if it has not ended by then."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def look(seconds: float) -> bool:
    """Whether torch finds a GPU. Raises SystemExit if it does not say."""
    try:
        return subprocess.run([sys.executable, str(HERE / "look.py"), "gpu"], timeout=seconds).returncode == 0
    except subprocess.TimeoutExpired:
        raise SystemExit(f"torch has not said within {seconds:.0f} s whether there is a GPU: nvidia-smi") from None


def figures(log: Path) -> Iterator[dict[str, object]]:
    """The lines of JSON in what a stage printed."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except ValueError:  # the last line of a process that was ended
                continue


def environment(wheel: Path | None, out: Path) -> dict[str, str]:
    """Variables of every stage. The wheel is unpacked, and found before anything that is installed."""
    path = [str(ROOT / "tests")]
    if wheel is not None:
        target = out / "site"
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps")
        subprocess.run([*pip, "--upgrade", "--target", str(target), str(wheel)], check=True)
        path.insert(0, str(target))
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*path, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONSAFEPATH": "1",  # or Python would import the checkout, where nothing is compiled
        "PYTHONUNBUFFERED": "1",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # before anything calls cuBLAS
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wheel", type=Path, help="dcnbuild; without it, the one that is installed")
    parser.add_argument("--out", type=Path, default=Path("out/gpu"), help="a folder for the results")
    parser.add_argument("--seconds", type=float, default=570, help="for everything")
    parser.add_argument("--only", nargs="+", help="the stages to run, by the start of their names")
    parser.add_argument("--look", action="store_true", help="only say whether there is a GPU")
    arguments = parser.parse_args(argv)
    deadline = time.monotonic() + arguments.seconds
    gpu = look(120)
    if arguments.look:
        return 0 if gpu else NO_GPU
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    env = environment(arguments.wheel, out)
    failed = []
    with (out / "session.jsonl").open("a", encoding="utf-8") as record:
        for stage in stages(gpu):
            if arguments.only and not stage.name.startswith(tuple(arguments.only)):
                continue
            begun = time.monotonic()
            left = min(stage.limit, deadline - begun)
            ended, status = ("interrupted" if left > 1 else "no time left"), None
            try:
                if left > 1:
                    ended, status = run(stage, left, out, env)
            finally:
                took = round(time.monotonic() - begun, 1)
                lines = list(figures(out / f"{stage.name}.log")) if left > 1 else []
                end = {"ended": ended, "status": status, "seconds": took}
                for line in (*lines, end):
                    record.write(json.dumps({"stage": stage.name, **line}) + "\n")
                record.flush()
                print(f"{stage.name}: {ended} after {took} s", flush=True)
            if stage.decisive and ended != "passed":
                failed.append(stage.name)
    print(f"failed: {', '.join(failed)}" if failed else f"all passed; figures: {out}/session.jsonl")
    if not gpu:
        print("no GPU: this was a rehearsal on the CPU")
        return 1 if failed else NO_GPU
    return 1 if failed else 0


def end_with_stage() -> None:
    """Lets SIGTERM end the stage that runs too, and keep its figures."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


if __name__ == "__main__":
    end_with_stage()
    sys.exit(main())
