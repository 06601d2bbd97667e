"""Tests `dcnbuild port`: the place of the result, refusals, and messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dcnbuild.cli import main
from dcnbuild.port import output
from dcnbuild.port.output import OutputError, write_copy, write_in_place
from dcnbuild.port.project import port_project

OLD = '#include <ATen/ATen.h>\r\nvoid f(int n) { AT_CHECK(n > 0, "é"); }\r\n'.encode("latin-1")
NEW = OLD.replace(b"AT_CHECK", b"TORCH_CHECK")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "old"
    (root / "src").mkdir(parents=True)
    (root / "src/a.cpp").write_bytes(OLD)
    (root / "src/a.cpp").chmod(0o755)
    (root / "data.bin").write_bytes(b"\0\1")
    (root / "docker/build").mkdir(parents=True)
    (root / "docker/build/Dockerfile").write_bytes(b"FROM scratch")
    (root / "link").symlink_to("data.bin")
    return root


def snapshot(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_the_default_is_a_new_directory(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(project)
    assert main(["port", str(project)]) == 0
    out = project.with_name("old-ported")
    assert snapshot(project) == before
    assert snapshot(out) == {
        **{"src/a.cpp": NEW, "docker/build/Dockerfile": b"FROM scratch"},
        **{"data.bin": b"\0\1", "link": b"\0\1"},
    }
    assert (out / "link").is_symlink()
    assert os.access(out / "src/a.cpp", os.X_OK)
    assert "at-check" in capsys.readouterr().out
    # a second time would write over it
    assert main(["port", str(project)]) == 2
    assert "--out" in capsys.readouterr().err
    # and the result has nothing left to do
    assert main(["port", str(out)]) == 0
    assert "Nothing to change" in capsys.readouterr().out


def test_where_nothing_changes_a_copy_is_written_only_if_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new"
    new.mkdir()
    (new / "a.cpp").write_text("#include <torch/extension.h>\nint f(at::Tensor x) { return x.dim(); }\n")
    assert main(["port", str(new)]) == 0
    assert capsys.readouterr().out == "Nothing to change.\n" and list(tmp_path.iterdir()) == [new]
    assert main(["port", str(new), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["out"] is None
    assert main(["port", str(new), "--out", str(tmp_path / "copy")]) == 0
    assert snapshot(tmp_path / "copy") == snapshot(new)


def test_a_directory_without_sources_is_not_called_ported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "build.log").write_text("#include <THC/THC.h>")
    assert main(["port", str(tmp_path)]) == 0
    assert "No C++, CUDA or Python source found" in capsys.readouterr().out


def test_one_file(project: Path, tmp_path: Path) -> None:
    assert main(["port", str(project / "src/a.cpp"), "--out", str(tmp_path / "x/y")]) == 0
    assert snapshot(tmp_path / "x") == {"y/a.cpp": NEW}


def test_what_takes_no_space_takes_none_in_the_copy(project: Path, tmp_path: Path) -> None:
    data = project / "weights.bin"
    with data.open("wb") as file:
        file.seek(1 << 20)
        file.write(b"x" * 5000)
        file.truncate(1 << 40)
    os.utime(data, (1, 1))
    assert main(["port", str(project)]) == 0
    copy = tmp_path / "old-ported" / "weights.bin"
    assert (copy.stat().st_size, copy.stat().st_mtime) == (1 << 40, 1)
    assert copy.stat().st_blocks <= data.stat().st_blocks
    with copy.open("rb") as file:
        file.seek((1 << 20) - 1)
        assert file.read(5002) == b"\0" + b"x" * 5000 + b"\0"


def test_out_may_be_empty_but_not_inside(project: Path, tmp_path: Path) -> None:
    result = port_project(project)
    (tmp_path / "empty").mkdir()
    write_copy(project, tmp_path / "empty", result.files)
    assert (tmp_path / "empty/src/a.cpp").read_bytes() == NEW
    for inside in (project, project / "out"):
        with pytest.raises(OutputError, match="--out"):
            write_copy(project, inside, result.files)


def test_a_copy_that_fails_leaves_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(output, "_replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_copy(project, project.with_name("out"), port_project(project).files)
    assert sorted(path.name for path in project.parent.iterdir()) == ["old"]


def test_in_place_keeps_a_backup(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "b.cpp").write_bytes(OLD)
    assert main(["port", str(project), "--in-place"]) == 0
    assert (project / "src/a.cpp").read_bytes() == NEW
    assert os.access(project / "src/a.cpp", os.X_OK)
    backup = project.with_name("old-before-port")
    assert snapshot(backup) == {"src/a.cpp": OLD, "b.cpp": OLD}
    assert str(backup) in capsys.readouterr().err
    # nothing to do: no second backup; something again: a new one
    assert main(["port", str(project), "--in-place"]) == 0
    (project / "b.cpp").write_bytes(OLD)
    assert main(["port", str(project), "--in-place"]) == 0
    assert snapshot(project.with_name("old-before-port-2")) == {"b.cpp": OLD}
    assert sorted(p.name for p in project.parent.iterdir()) == [*("old", "old-before-port", "old-before-port-2")]


def test_each_file_is_written_whole_or_not_at_all(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "b.cpp").write_bytes(OLD)
    rename = Path.replace
    done: list[Path] = []

    def once(self: Path, target: Path) -> Path:
        if done:
            raise OSError("interrupted")
        done.append(target)
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", once)
    with pytest.raises(OSError, match="interrupted"):
        write_in_place(project, port_project(project).files, force=False)
    texts = {name: text for name, text in snapshot(project).items() if name in ("src/a.cpp", "b.cpp")}
    assert sorted(texts.values()) == sorted([OLD, NEW])
    assert not list(project.rglob(".*"))
    assert snapshot(project.with_name("old-before-port")) == {"src/a.cpp": OLD, "b.cpp": OLD}


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


def test_uncommitted_changes_are_not_mixed_with(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(project, "init", "-q")
    assert main(["port", str(project), "--in-place"]) == 2
    assert "--force" in capsys.readouterr().err
    assert (project / "src/a.cpp").read_bytes() == OLD
    assert not project.with_name("old-before-port").exists()
    git(project, "add", "-A")
    git(project, "commit", "-qm", "old")
    assert main(["port", str(project), "--in-place"]) == 0
    git(project, "checkout", "-q", "--", ".")
    (project / "data.bin").write_bytes(b"other")
    assert main(["port", str(project), "--in-place"]) == 2
    assert main(["port", str(project), "--in-place", "--force"]) == 0
    assert (project / "src/a.cpp").read_bytes() == NEW


def test_what_a_repository_names_is_not_run(project: Path, tmp_path: Path) -> None:
    git(project, "init", "-q")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "old")
    run = tmp_path / "run.sh"
    run.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\ncat\n")
    run.chmod(0o755)
    for name in (
        *("core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "diff.external"),
        *("filter.x.clean", "filter.x.smudge", "filter.x.process", "diff.x.command"),
    ):
        git(project, "config", name, str(run))
    git(project, "config", "core.hooksPath", str(tmp_path))
    (tmp_path / "post-index-change").symlink_to(run)
    (project / ".gitattributes").write_text("* filter=x diff=x\n")
    (project / "data.bin").touch()  # so that git has to read it again
    assert main(["port", str(project), "--in-place"]) == 2  # .gitattributes is untracked
    (project / ".git/info/exclude").write_text(".gitattributes\n")
    assert main(["port", str(project), "--in-place"]) == 0
    assert not (tmp_path / "ran").exists()


def test_diff_writes_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(project.parent)
    assert main(["port", str(project), "--diff"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "--- a/src/a.cpp" in lines and "+++ b/src/a.cpp" in lines
    assert '-void f(int n) { AT_CHECK(n > 0, "é"); }' in lines
    assert '+void f(int n) { TORCH_CHECK(n > 0, "é"); }' in lines
    assert snapshot(project.parent) == before


def test_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "glue.cpp").write_text("void f(THCudaTensor** x) {}\n")
    assert main(["port", str(project), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["out"] == str(project.with_name("old-ported"))
    assert (report["ok"], report["failing"]) == (False, True)
    files = {file["path"]: file for file in report["files"]}
    assert files["src/a.cpp"]["rules"] == {"at-check": 1}
    assert files["src/a.cpp"]["changes"] == [
        {"rule": "at-check", "line": 2, "before": "AT_CHECK", "after": "TORCH_CHECK"}
    ]
    (left,) = files["glue.cpp"]["left"]
    assert (left["id"], left["lines"], left["need"]) == ("th-tensor", [1], "broken")
    assert left["reason"] and left["advice"]


def test_what_is_left_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "glue.cpp").write_text("\nvoid f(THCudaTensor** x) {}\n")
    assert main(["port", str(project)]) == 1
    said = capsys.readouterr().out
    assert "glue.cpp:2 THCudaTensor" in said
    assert "why: TH and THC tensors went with torch 1.11" in said
    assert "do:  take at::Tensor instead" in said


def test_a_path_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["port", str(tmp_path / "none")]) == 2
    assert str(tmp_path / "none") in capsys.readouterr().err


def test_a_device_or_pipe_is_no_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/null", str(tmp_path / "pipe")):
        assert main(["port", path]) == 2
        assert f"{path} is a device, pipe or socket" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
    assert not Path("/dev/null-ported").exists()


def test_no_torch_is_imported(project: Path) -> None:
    script = (
        "import sys\nfrom dcnbuild.cli import main\n"
        f"assert main(['port', {str(project)!r}, '--diff']) == 0\nassert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


STABLE = Path(__file__).with_name("stable_cases")


def test_to_stable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(STABLE / "refused/in")
    out = str(tmp_path / "new")
    assert main(["port", str(STABLE / "refused/in"), "--to", "stable", "--out", out, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    left = {one["id"] for file in report["files"] for one in file["left"]}
    assert report["ok"] is False and "stable-autograd" in left
    assert snapshot(STABLE / "refused/in") == before
    assert "STABLE_TORCH_LIBRARY" in (tmp_path / "new/csrc/op.cpp").read_text()
    assert main(["port", str(STABLE / "dcn-v2/in"), "--to", "stable", "--diff"]) == 0
    assert "+STABLE_TORCH_LIBRARY_FRAGMENT(_ext, m) {" in capsys.readouterr().out


def test_a_target_is_a_release_with_a_stable_abi(capsys: pytest.CaptureFixture[str]) -> None:
    case = str(STABLE / "dcn-v2/in")
    assert main(["port", case, "--to", "stable", "--target", "2.9", "--diff"]) == 2
    assert "2.10" in capsys.readouterr().err
    assert main(["port", case, "--target", "2.10", "--diff"]) == 2
    assert "--to stable" in capsys.readouterr().err
