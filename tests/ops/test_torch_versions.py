"""Compares the facts about torch releases in the table, in the docs and in the installed torch."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dcnbuild.ops import torch_versions

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "torch-versions.md"
#: What a compiled model traces.
TRACED = sorted(path for part in ("ops", "nn") for path in (ROOT / "dcnbuild" / part).rglob("*.py"))


def test_the_document_has_the_table() -> None:
    rows = [
        f"| `{feature.name}` | {feature.since[0]}.{feature.since[1]} | {feature.before} |"
        for feature in torch_versions.FEATURES
    ]
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("| `")] == rows


def test_a_feature_that_the_table_lacks_is_an_error() -> None:
    with pytest.raises(KeyError, match="teleport"):
        torch_versions.has("torch.teleport")


def test_opcheck_is_where_the_table_says() -> None:
    assert hasattr(torch.library, "opcheck") == torch_versions.has("torch.library.opcheck")


def untraceable(code: str) -> list[int]:
    """The lines of what Dynamo of an old torch does not trace: isinstance with a union of types, which breaks graphs
    up to torch 2.4 at least, and has_torch_function under another name than torch_versions', up to 2.1.
    """
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            refused = [inner for inner in ast.walk(node.args[1]) if isinstance(inner, ast.BitOr)]
            found += [node.lineno for _ in refused[:1]]
        elif isinstance(node, ast.ImportFrom) and node.module == "torch.overrides":
            found += [node.lineno for name in node.names if name.name.startswith("has_torch_function")]
    return found


def test_what_old_torches_do_not_trace_is_recognised() -> None:
    assert untraceable("isinstance(a, int | str)\nisinstance(a, (int, str))\nint | str") == [1]
    assert untraceable("from torch.overrides import handle_torch_function, has_torch_function_unary") == [1]


@pytest.mark.parametrize("path", TRACED, ids=lambda path: str(path.relative_to(ROOT)))
def test_old_torches_can_trace_the_operators(path: Path) -> None:
    assert untraceable(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("device_type", ["cpu", "cuda"])
def test_autocast_is_seen(device_type: str) -> None:
    assert not torch_versions.is_autocast_enabled(device_type)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch_versions.is_autocast_enabled(device_type) == (device_type == "cpu")
        assert torch_versions.get_autocast_dtype("cpu") == torch.bfloat16
    assert not torch_versions.is_compiling()


def test_a_torch_before_2_0_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("__version__ = '1.13.1'\n")
    done = subprocess.run(
        [sys.executable, "-c", "import dcnbuild.ops.torch_versions"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
    )
    said = done.stderr.strip().splitlines()[-1]
    assert said == "ImportError: dcnbuild needs torch>=2.0, and this is torch 1.13.1"
