"""What a backward pass does if only the weight's gradient is wanted: no gradients of taps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

#: 64 offset groups: gradients of taps fill the 4 MB that the CPU keeps of them for slices of one image.
PROBE = """
import ctypes, sys
from pathlib import Path
import torch
from dcnbuild.builder import native

native.ensure("cpu")
torch.set_num_threads(2)  # which share an image
dtype = getattr(torch, sys.argv[1])

def call(size):
    torch.manual_seed(0)
    made = [torch.randn(1, c, size, size).to(dtype) for c in (64, 64, 2 * 9 * 64, 9 * 64)]
    weight = torch.randn(64, 64, 3, 3).to(dtype)
    wanted = lambda *names: torch.ops.dcnbuild.deform_conv2d_backward(
        *made, weight, [1, 1], [1, 1], [1, 1], 1, 64, [name in names for name in ("input", "offset", "mask", "weight", "bias")], False
    )
    return wanted

def peak():
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

call(8)("weight")  # starts the threads, loads the kernels
wanted = call(48)
ctypes.CDLL(None).malloc_trim(0)  # memory that was freed counts when it is used again
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = peak()
alone = wanted("weight")
print(peak() - before)
together = wanted("input", "offset", "mask", "weight")
error = (alone[3] - together[3]).float().abs().max() / together[3].float().abs().max()
assert error < 0.01, error
assert [t.numel() for t in alone] == [0, 0, 0, 64 * 64 * 9, 0]
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux counts the peak of a process's memory")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_weight_alone_takes_no_gradients_of_taps(dtype: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, dtype], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    alone, together = map(int, done.stdout.split())
    assert alone < 3 << 20, (alone, together)
    assert together > 4 << 20, (alone, together)
