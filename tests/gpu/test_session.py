"""Tests session.py: whatever one stage does, the others run, and no result is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gpu import session
from gpu.session import Stage
from hang import HANG, wait_until


def python(name: str, code: str, limit: float = 60, decisive: bool = True) -> Stage:
    return Stage(name, (sys.executable, "-Sc", code), limit, decisive)


TELL = "import json; print(json.dumps(dict(found=1)), flush=True); "


def ran(
    stages: list[Stage], out: Path, monkeypatch: pytest.MonkeyPatch, *options: str
) -> tuple[int, list[dict[str, Any]]]:
    """The exit status, and what session.jsonl holds."""
    monkeypatch.setattr(session, "stages", lambda gpu: iter(stages))
    monkeypatch.setattr(session.subprocess, "run", lambda *_, **__: NO_GPU)
    status = session.main(["--out", str(out), *options])
    lines = (out / "session.jsonl").read_text().splitlines()
    return status, [json.loads(line) for line in lines]


class NO_GPU:
    returncode = session.NO_GPU


def test_a_hang_and_a_crash_cost_one_stage_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hang = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + TELL
    stages = [
        python("hang", hang + "time.sleep(600)", 1.5),
        python("crash", TELL + "import os; os.abort()"),
        python("good", TELL),
    ]
    monkeypatch.setattr(session, "GRACE", 0.2)
    status, lines = ran(stages, tmp_path, monkeypatch)
    assert status == 1
    assert [(line["stage"], line.get("ended")) for line in lines] == [
        *(("hang", None), ("hang", "timed out")),
        *(("crash", None), ("crash", "failed")),
        *(("good", None), ("good", "passed")),
    ]
    assert sum(line.get("found", 0) for line in lines) == 3


def test_what_a_stage_has_started_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that the kernel kills, whose own process goes on: it would keep the GPU."""
    start = f"import json, os, subprocess, sys; child = subprocess.Popen(['sleep', '{HANG}'])"
    code = f"{start}; print(json.dumps(dict(child=child.pid)), flush=True); os.kill(os.getpid(), 9)"
    status, lines = ran([python("killed", code), python("good", TELL)], tmp_path, monkeypatch)
    assert (status, lines[1]["ended"], lines[1]["status"]) == (1, "failed", -9)
    assert lines[3]["ended"] == "passed"
    child = Path("/proc", str(lines[0]["child"]), "stat")
    # an orphan may stay a zombie until somebody waits for it
    wait_until(lambda: not child.exists() or child.read_text().split()[2] in "ZX", "it still runs")


def test_the_end_of_the_session_ends_its_stage_and_keeps_its_figures(tmp_path: Path) -> None:
    stage = f"import json, os, time; print(json.dumps(dict(child=os.getpid())), flush=True); time.sleep({HANG})"
    code = f"""
import sys
from gpu import session
session.stages = lambda gpu: iter([session.Stage("hang", (sys.executable, "-Sc", {stage!r}), 60)])
sys.argv = ["session.py", "--out", {str(tmp_path)!r}]
session.look = lambda seconds: False
session.GRACE = 0.2
session.end_with_stage()
sys.exit(session.main())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    log = tmp_path / "hang.log"
    wait_until(lambda: log.exists() and "child" in log.read_text(), "the stage has not begun")
    process.terminate()
    assert process.wait(30) == 128 + signal.SIGTERM
    lines = [json.loads(line) for line in (tmp_path / "session.jsonl").read_text().splitlines()]
    assert [line.get("ended") for line in lines] == [None, "interrupted"]
    child = Path("/proc", str(lines[0]["child"]))
    wait_until(lambda: not child.exists(), "it still runs")


@pytest.mark.slow
def test_a_test_that_spoils_cuda_costs_only_itself(tmp_path: Path) -> None:
    """Its worker is replaced, and the tests after it run there. It has passed before its worker ends."""
    (tmp_path / "test_it.py").write_text("""
import torch

def test_before(): ...

def test_spoils(monkeypatch):
    def spoilt():
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    torch.cuda.is_initialized, torch.cuda.synchronize = (lambda: True), spoilt

def test_after():
    assert not torch.cuda.is_initialized()
""")
    stage = next(stage for stage in session.stages(gpu=True) if stage.name == "tests")
    by = stage.command[stage.command.index("--dist") + 1]
    command = [*session.PYTEST, "-n", "1", "--dist", by, str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert "1 failed, 3 passed" in done.stdout, done.stdout + done.stderr
    assert "test_spoils leaves CUDA unusable, and its worker ends: CUDA error: an illegal" in done.stderr


def test_a_machine_that_does_not_say_whether_it_has_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, timeout: float) -> None:
        raise subprocess.TimeoutExpired("look.py", timeout)

    monkeypatch.setattr(session.subprocess, "run", hang)
    with pytest.raises(SystemExit, match="120 s"):
        session.main([])


def test_what_is_not_decisive_does_not_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages = [python("sanitizer", "raise SystemExit(1)", decisive=False), python("good", TELL)]
    status, lines = ran(stages, tmp_path, monkeypatch)
    assert status == session.NO_GPU
    assert lines[0] == {"stage": "sanitizer", "ended": "failed", "status": 1, **seconds(lines[0])}


def test_what_the_time_does_not_reach_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, lines = ran([python("late", TELL)], tmp_path, monkeypatch, "--seconds", "0")
    assert (status, [line["ended"] for line in lines]) == (1, ["no time left"])


def seconds(line: dict[str, Any]) -> dict[str, float]:
    return {"seconds": line["seconds"]}


def test_a_broken_line_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('{"a": 1}\nwords\n{"b": 2, "c\n')
    assert list(session.figures(log)) == [{"a": 1}]


def test_every_stage_has_a_limit_and_all_together_fit() -> None:
    for gpu in (True, False):
        stages = list(session.stages(gpu))
        assert len({stage.name for stage in stages}) == len(stages)
        assert all(0 < stage.limit <= 240 for stage in stages)


def test_a_stage_is_held_to_its_route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import json, os; print(json.dumps({'route': os.environ.get('DCNBUILD_ROUTE')}))"
    first = python("first", code)
    monkeypatch.delenv("DCNBUILD_ROUTE", raising=False)
    _, lines = ran([replace(first, name="again", route="nvrtc"), first], tmp_path, monkeypatch)
    assert [line["route"] for line in lines if "route" in line] == ["nvrtc", None]


def test_stages_find_the_tests_and_only_some_the_benchmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """benchmarks/gpu.py would stand before the folder tests/gpu."""
    find = "import importlib.util, json; print(json.dumps({{'found': importlib.util.find_spec('{}').origin}}))"
    speed = replace(python("speed", find.format("gpu")), path=session.BENCHMARKS)
    _, lines = ran([python("tests", find.format("gpu.session")), speed], tmp_path, monkeypatch)
    assert [line["found"] for line in lines if "found" in line] == [
        str(session.HERE / "session.py"),
        str(session.BENCHMARKS / "gpu.py"),
    ], lines


def test_both_ways_to_compile_are_tried_on_a_gpu() -> None:
    routes = {stage.name: stage.route for stage in session.stages(gpu=True)}
    assert routes["operators"] is None
    assert routes["nvrtc-operators"] == "nvrtc"


def test_the_fused_route_is_timed_beside_the_others() -> None:
    fused = [stage for stage in session.stages(gpu=True) if stage.fused]
    assert [stage.name for stage in fused] == ["fused-speed-layer-float16-float32-tf32"]
    assert not fused[0].decisive
    tests = {stage.name: stage for stage in session.stages(gpu=True)}
    assert any("--ignore" in word and "test_fused" in word for word in tests["tests"].command)
    assert any("test_fused" in word for word in tests["fused"].command) and not tests["fused"].decisive
