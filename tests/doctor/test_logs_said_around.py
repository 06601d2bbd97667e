"""What a log shows of variables, systems, processors and copies of libraries decides its cause, in short tables."""

from __future__ import annotations

import pytest
from doctor.reading import findings, told

NO_CUDA = "AssertionError: Torch not compiled with CUDA enabled"
NCCL = "w:7:31 [0] NCCL INFO "
CONNECTED = (
    f"{NCCL}Channel 00/0 : 0[0] -> 1[1] via P2P/CUMEM\n{NCCL}ncclCommInitRank comm 0x1c rank 0 - Init COMPLETE\n"
)
STOPPED = "W0331 11:22:07.003000 7119 elastic/agent/server/api.py:725] Received Signals.SIGTERM death signal\n"
TWICE = (
    "torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1691, invalid usage\n"
    "Last error:\nDuplicate GPU detected : rank 0 and rank 1 both on CUDA device 2000\n"
)


@pytest.mark.parametrize("written", ["~/t", "$HOME/t", "${HOME}/t"])
def test_a_program_below_the_home_is_written_so_that_a_shell_finds_it(written: str) -> None:
    log = f"u@h:~$ {written}/bin/pip install torch\n{NO_CUDA}\n"
    assert "~/t/bin/pip uninstall -y torch torchvision torchaudio" in told(log)[1]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (f"{CONNECTED}rank 0: before all_reduce\n{STOPPED}", "first operation never finished"),
        (f"{CONNECTED}{STOPPED}$ lspci -vvv\n  ACSCtl: SrcValid+ TransBlk- ReqRedir+\n", "ACS is on"),
        (CONNECTED, "The log ends where NCCL"),
        (f"$ torchrun --nnodes 2 a.py\nW0331 7119 torch/distributed/run.py:852] ***\n{STOPPED}", "several machines"),
    ],
)
def test_a_run_that_hangs_is_a_failure(log: str, words: str) -> None:
    found = findings(log)[0]
    assert found.id == "nccl"
    assert words in found.cause or not words


def test_a_run_that_works_until_it_is_stopped_has_not_failed() -> None:
    assert findings(f"{CONNECTED}{{'loss': 2.31, 'epoch': 0.1}}\n{{'loss': 2.1, 'epoch': 0.2}}\n{STOPPED}") == ()


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ('+++ b/train.py\n+os.environ["CUDA_VISIBLE_DEVICES"] = "0"\n', "train.py, sets CUDA_VISIBLE_DEVICES to 0"),
        ("$ grep -n cuda train.py\n12:    torch.cuda.set_device(0)\n", "torch.cuda.set_device(0)"),
        ("$ export CUDA_VISIBLE_DEVICES=1\n", "CUDA_VISIBLE_DEVICES=1 lets them see one GPU"),
        ('-os.environ["CUDA_VISIBLE_DEVICES"] = "0"\n', "Each rank has to select"),
    ],
)
def test_why_two_processes_use_one_gpu(shown: str, words: str) -> None:
    assert words in findings(f"{TWICE}{shown}")[0].cause


@pytest.mark.parametrize(
    ("crash", "words"),
    [
        ("torch 2.1.2\n$ python -c 'import torch'\n", "SSE4.1"),
        ("uname -m\naarch64\ntorch 2.10.0\n$ python -c 'import torch'\n", "ARMv8.1"),
        ("frame #0: 0x7f libx.so`f + 34\n->  0x7fff: vfmadd231ps %ymm0, %ymm1, %ymm2\n", "instruction of FMA"),
        (
            "torch 2.1.2\nflags : fpu sse4_1 avx avx2\n$ python -c 'import torch'\n",
            "compiled module was built for a newer",
        ),
    ],
)
def test_which_instruction_a_cpu_lacks(crash: str, words: str) -> None:
    assert words in findings(f"{crash}Illegal instruction (core dumped)\n")[0].cause


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        ("/opt/homebrew/Cellar/mlx/0.31.1/lib/libmlx.dylib", "formula mlx"),
        ("/Users/u/miniconda3/lib/libc++.1.dylib", "another installation"),
        ("/usr/lib/libc++.1.dylib", "newer macOS"),
    ],
)
def test_where_a_mac_expected_a_symbol(expected: str, words: str) -> None:
    module = "/Users/u/v/lib/python3.12/site-packages/mlx/core.cpython-312-darwin.so"
    log = f"ImportError: dlopen({module}, 0x0002): Symbol not found: __ZN3mlx4core3fooEv\n"
    log += f"  Referenced from: <A1> {module}\n  Expected in:     <B2> {expected}\n"
    assert words in findings(log)[0].cause


@pytest.mark.parametrize(
    ("library", "package"),
    [("libmlx.so", "mlx[cpu]"), ("libcudf.so", "libcudf-cu12"), ("libcuvs.so", "libcuvs-cu12")],
)
def test_the_package_of_a_backend(library: str, package: str) -> None:
    log = f"ImportError: {library}: cannot open shared object file: No such file or directory\n"
    assert any(package in line for line in told(log)[1])
