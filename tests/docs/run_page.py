"""Runs the Python of one page, block after block in one namespace: `python run_page.py docs/index.md`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from blocks import CHECKOUT, blocks_of

namespace: dict[str, Any] = {"__name__": "__main__"}
page = sys.argv[1]
for block in blocks_of(Path(CHECKOUT, page).read_text(encoding="utf-8"), page):
    if block.language == "python" and "tested by" not in block.notes:
        exec(compile(block.notes.get("before", ""), f"before {block}", "exec"), namespace)
        padding = "\n" * (block.line - 1)  # so that a traceback names the page's line
        exec(compile(padding + block.text, str(CHECKOUT / page), "exec"), namespace)
