"""Measures what `import dcnbuild` adds to `import torch`, and what the first call adds with a library at hand.

    python benchmarks/import_time.py [--repeats 7] [--json FILE]

Milliseconds, the median over fresh interpreters. Goals: at most 50 for the import, at most 200 for the first call.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PROBE = """
import json, time
import torch
x, offset, weight = torch.randn(1, 4, 8, 8), torch.zeros(1, 18, 8, 8), torch.randn(4, 4, 3, 3)
torch.nn.functional.conv2d(x, weight, padding=1)  # torch's own threads and libraries start here
start = time.perf_counter()
import dcnbuild
imported = time.perf_counter()
dcnbuild.deform_conv2d(x, offset, weight, padding=1)
called = time.perf_counter()
dcnbuild.deform_conv2d(x, offset, weight, padding=1)
again = time.perf_counter()
from dcnbuild.builder import native
print(json.dumps({"route": native.status("cpu").route, "import": imported - start, "first call": called - imported,
                  "second call": again - called}))
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args(argv)
    runs = []
    with tempfile.TemporaryDirectory() as elsewhere:
        # One more than counted: the first fills the file cache, and the JIT cache if there is no prebuilt library.
        for _ in range(arguments.repeats + 1):
            done = subprocess.run(
                [sys.executable, "-c", PROBE],
                cwd=elsewhere,
                capture_output=True,
                text=True,
                check=True,
            )
            runs.append(json.loads(done.stdout))
    counted = runs[1:]
    figures = {
        name: statistics.median(run[name] for run in counted) * 1000 for name in ("import", "first call", "second call")
    }
    print(f"route {counted[0]['route']}, milliseconds, median of {len(counted)}:")
    for name, value in figures.items():
        print(f"  {name:12} {value:8.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
