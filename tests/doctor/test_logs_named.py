"""Tests that a fix takes names, places and releases that exist: those that the log shows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from doctor.reading import findings, told

from dcnbuild.base import sed
from dcnbuild.machine import installers, wheels

_LOADED = "$ python -c 'import torch; print(torch.__version__)'\n{}\n$ python train.py\n  File \"/e/lib/python3.12/site-packages/{}/__init__.py\", line 5, in <module>\nImportError: {}: cannot open shared object file: No such file or directory"
_SYMBOL = '$ python train.py\n  File "/e/lib/python3.9/site-packages/net_ops/ops.py", line 3, in <module>\nImportError: /e/lib/python3.9/site-packages/net_ops_cpu.cpython-39-x86_64-linux-gnu.so: undefined symbol: _ZNK2at6Tensor7is_cudaEv'
_TRIED = "$ python train.py\n[INFO] [real_accelerator.py:203:get_accelerator] Setting ds_accelerator to cuda (auto detect)\n{}\nstep 1 loss: 2.31\nTraining finished"
_HIPCC = "$ pip install --no-build-isolation .\n/opt/rocm/bin/hipcc -c a.hip -o a.o -D__HIP_PLATFORM_AMD__=1\n/w/a.hip:9:10: fatal error: '{}' file not found\nerror: command '/opt/rocm/bin/hipcc' failed with exit code 1"
_SCM = "LookupError: setuptools-scm was unable to detect version for {}."
_GLIBCXX = "(e) $ ls $CONDA_PREFIX/lib | grep libstdc\n{}\n(e) $ python a.py\nImportError: /lib/x86_64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by /h/miniconda3/envs/e/lib/python3.10/site-packages/net/a.so)"


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (_LOADED.format("2.8.0+cu128", "nixl_ep", "libcudart.so.13"), "pip install nixl-cu12"),
        (_LOADED.format("2.8.0+cu128", "cudf", "libcudart.so.13"), "pip install cudf-cu12"),
        (_LOADED.format("2.9.1+cu130", "cupy", "libcudart.so.12"), "pip install 'cupy-cuda13x[ctk]'"),
        (_SYMBOL, "--no-binary net-ops net-ops"),
        (_HIPCC.format("hipcub/hipcub.hpp"), "sudo apt-get install hipcub-dev"),
        (_HIPCC.format("miopen/miopen.h"), "sudo apt-get install miopen-hip-dev"),
        (_SCM.format("/w/net-1.4.2"), "SETUPTOOLS_SCM_PRETEND_VERSION=1.4.2"),
        (_SCM.format("/w/net"), "SETUPTOOLS_SCM_PRETEND_VERSION=0.0.1"),
        (_GLIBCXX.format("libstdc++.so.6.0.34"), "ln -s libstdc++.so.6.0.34"),
        (_GLIBCXX.format("libstdc++.so.6\nlibstdc++.so.6.0.34"), "conda install -c conda-forge"),
        ('$ pip install sub/knn\nknn.cu(90): error: identifier "FLT_MAX" is undefined', "<cfloat>' sub/knn/knn.cu"),
    ],
)
def test_the_fix_takes_what_the_log_shows(log: str, line: str) -> None:
    _, typed = told(log)
    assert any(line in one for one in typed), typed


@pytest.mark.parametrize(
    "tried",
    [
        "/usr/bin/ld: cannot find -laio: No such file or directory\ncollect2: error: ld returned 1 exit status",
        "test.c\nLINK : fatal error LNK1181: cannot open input file 'cufile.lib'",
    ],
)
def test_a_trial_of_a_program_that_works_is_no_fault(tried: str) -> None:
    assert not findings(_TRIED.format(tried))
    assert told(f"$ pip install deepspeed\n{tried}\nERROR: Failed building wheel for deepspeed")[0]


def test_pip_output_tells_the_repository_and_the_wheel() -> None:
    taken = "Collecting git+https://github.com/ada/py_net\nBuilding wheels for collected packages: torch_net\n"
    assert installers.repository("torch-net", taken) == "git+https://github.com/ada/py_net"
    assert installers.repository("other", taken) == "" == installers.repository("", taken)
    page = "Downloading https://data.pyg.org/whl/torch-2.2.0%2Bcpu/torch_scatter-2.1.2-cp39-cp39-macosx_10_9.whl"
    assert wheels.taken("torch-scatter", "2.2.1", page) and not wheels.taken("torch-scatter", "2.3.0", page)


def test_python_edits_a_file_as_sed_does(tmp_path: Path) -> None:
    file = tmp_path / "environment.yml"
    file.write_text("a: 12.1=h_1\n")
    words = sed.in_python(["sed", "-i", "-E", "s/a: ([0-9]+)[.][0-9]+[=_a-z0-9]*/& b \\1/", str(file)])
    subprocess.run(words, check=True)
    assert file.read_text() == "a: 12.1=h_1 b 12\n"
    assert sed.in_python(["sed", "-i", "1i #include", "a.cu"]) == ["sed", "-i", "1i #include", "a.cu"]
