"""Writes docs/models.md from docs/models.json, which `python benchmarks/models.py --record` measures.

python -m tools.docs.models          writes it
python -m tools.docs.models --check  exits with 1 if the page is out of date
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.docs import page as pages

PAGE = Path("docs/models.md")
RECORD = Path("docs/models.json")

COLUMNS = (
    "network",
    "layers",
    "CPU s before",
    "CPU s after",
    "×",
    "× by the clock",
    "MB before",
    "MB after",
    "difference",
)
#: A ratio below it is no gain: it is within what two runs differ by.
GAIN = 1.05

_HEAD = """\
# Whole models

One line switches a model to dcnbuild's kernels, and keeps its weights:

<!-- before: import torch, torchvision; model = torchvision.ops.DeformConv2d(2, 2, 3) -->
```python
import dcnbuild

report = dcnbuild.convert(model)
print(report)
```

The table shows a forward pass of whole networks on the CPU before and after this line. Both were called in turn. "layers" are the
layers that it switched. "CPU s" are the CPU seconds of all threads, which other programs on the machine disturb little. "×" says how
many times as many they were before; "× by the clock" is the same ratio of the time that passed. "MB" is the memory that one call needs
beside the weights. "difference" is the largest difference in any output, as a fraction of that output's largest value. A detector keeps
the best of its proposals; rounding decides between nearly equal ones, so that the second call is given the first one's choice.

"""

_TAIL = """
The rest of a network stays as it is, so a network gains by the share of its deformable layers. A network with few of them, or with
few queries, gains little.

GPU: not measured.

## The networks

All have random weights, one image, float32, and no gradients.

- **ResNet-50 with DCNv2**: torchvision's ResNet-50, whose 3×3 convolutions from the third stage on are `torchvision.ops.DeformConv2d`.
- **CenterNet**: ResNet-18, then three deformable and three transposed convolutions, written after the paper's appendix.
- **EDVR's alignment**: five frames are aligned on three scales, with 8 offset groups, and fused; written after the paper.
- **BiRefNet's decoder**: deformable convolutions with kernels of 1, 3 and 7 on four scales; written after the paper. Its encoder is
  left out.
- **Deformable DETR**, **RT-DETR**, **Mask2Former**, **GroundingDINO**: those of Hugging Face transformers in their default sizes. Before,
  they compute deformable attention by `grid_sample`, as they do everywhere without an extension.

## Measure yours

`benchmarks/models.py` makes this table. To measure it again, and to write this page from the result:

    pip install "transformers>=5"
    python benchmarks/models.py --record
"""


def cells(name: str, figures: Mapping[str, Any]) -> list[str]:
    """Returns one network's row: its name and the figures of `benchmarks/models.py`."""
    before, after = figures["before"], figures["after"]
    ratio = before["CPU s"] / after["CPU s"]
    return [
        name,
        str(figures["layers"]),
        f"{before['CPU s']:.2f}",
        f"{after['CPU s']:.2f}",
        f"{ratio:.2f}" if ratio >= GAIN else f"{ratio:.2f}, not faster",
        f"{before['s'] / after['s']:.2f}",
        f"{before['MB']:.0f}",
        f"{after['MB']:.0f}",
        f"{figures['difference']:.0e}",
    ]


def page(root: Path = Path()) -> str:
    """Returns the text of docs/models.md."""
    record = json.loads((root / RECORD).read_text(encoding="utf-8"))
    rows = [cells(name, figures) for name, figures in record["networks"].items()]
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    made = sorted({(it["date"], it["commit"]) for it in record["networks"].values()})
    commits = ", ".join(f"{commit} ({date})" for date, commit in made)
    said = f" ({record['note']})" if record["note"] else ""
    note = f"\n{record['machine']}, transformers {record['transformers']}{said}. Commit {commits}.\n"
    if record["scale"] != 1:
        note += f"\nImages have {record['scale']:g} of the named sides.\n"
    if record["missing"]:
        note += f"\nNot measured yet: {'; '.join(record['missing'])}.\n"
    return pages.written_by("tools.docs.models") + _HEAD + table + note + _TAIL


if __name__ == "__main__":
    sys.exit(pages.main(PAGE, page, "tools.docs.models"))
