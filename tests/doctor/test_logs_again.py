"""Tests that a fix builds again only what was being built, and fits the cause and the machine of the log."""

from __future__ import annotations

import pytest
from doctor.reading import findings

_CUDSS = "ImportError: libcudss.so.0: cannot open shared object file: No such file or directory"
_KILLED = (
    "FAILED: a.o\nc++: fatal error: Killed signal terminated program cc1plus\nninja: build stopped: subcommand failed."
)


def first(log: str) -> tuple[str, list[str]]:
    """The id of the first finding, and the lines of its fix."""
    found = findings(log)[0]
    return found.id, list(found.fix)


def test_an_installed_wheel_is_not_built_again() -> None:
    log = f"nano@jetson:~$ pip install ./torch-2.8.0-cp310-cp310-linux_aarch64.whl\n{_CUDSS}"
    assert first(log)[1][-1] == "sudo apt-get install cudss"
    built = f"nano@jetson:~/net$ pip install ./ops\nProcessing ./ops\n{_CUDSS}"
    assert first(built)[1][-1] == "pip install ./ops"


@pytest.mark.parametrize(
    ("command", "shown", "again"),
    [
        (
            "flash-attn --no-build-isolation",
            "building 'flash_attn_2_cuda' extension",
            "flash-attn --no-build-isolation",
        ),
        ("--user causal-conv1d==1.4.0", "building 'causal_conv1d_cuda' extension", "--user causal-conv1d==1.4.0"),
        ("ninja", "building 'my_ops' extension", "--no-build-isolation ."),
    ],
)
def test_the_package_that_was_being_built_is_asked_for_again(command: str, shown: str, again: str) -> None:
    _, fix = first(f"ada@lab:~$ pip install {command}\n  running build_ext\n  {shown}\n{_KILLED}")
    assert fix[-1] == f"pip install {again}"


def test_a_gpu_that_plain_cmake_cannot_compile_for_takes_a_newer_toolkit() -> None:
    log = """$ cmake -B build -DWITH_CUDA=ON
-- Using CMAKE_CUDA_ARCHITECTURES=native
-- The CUDA compiler identification is NVIDIA 12.2.140
$ cmake --build build
nvcc fatal   : Unsupported gpu architecture 'compute_120'"""
    fix = "\n".join(first(log)[1])
    assert "-DCMAKE_CUDA_COMPILER=/usr/local/cuda-12.8/bin/nvcc" in fix
    assert "CUDAARCHS" not in fix and "TORCH" not in fix
    old = first(log.replace("12.2.140", "13.0.48").replace("compute_120", "compute_52"))[1]
    assert "export CUDAARCHS=75" in old


_JOB = "#SBATCH --partition=a\n{}\n+ nvidia-smi\nNo devices were found\nRuntimeError: No CUDA GPUs are available"


def test_a_job_that_asked_for_no_gpu_is_told_to_ask() -> None:
    found, fix = first(_JOB.format("#SBATCH --mem=8G"))
    assert found == "scheduler"
    assert "--gres=gpu:1" in fix[0] and not any("modprobe" in line for line in fix)


@pytest.mark.parametrize("line", ["#SBATCH --gres=gpu:2", "#SBATCH --gpus-per-node=1", "SLURM_JOB_GPUS=0"])
def test_a_job_that_asked_for_one_has_another_cause(line: str) -> None:
    assert first(_JOB.format(line))[0] != "scheduler"


@pytest.mark.parametrize(
    ("line", "job"),
    [
        ("$ srun -p a python train.py", True),
        ("SLURM_JOB_GPUS=", True),
        ("$ srun -G 1 python train.py", False),
        ("srun: error: n7: task 0: Exited with exit code 1", False),  # nothing shows what it asked for
    ],
)
def test_a_job_is_blamed_only_where_the_log_shows_what_it_asked_for(line: str, job: bool) -> None:
    assert (first(f"{line}\nRuntimeError: No CUDA GPUs are available")[0] == "scheduler") is job


_GCC = (
    "{}\n/usr/local/cuda-12.4/include/crt/host_config.h:143:2: error: #error -- unsupported GNU version! "
    "gcc versions later than 13 are not supported!"
)


def test_fedora_has_no_toolset_of_red_hat() -> None:
    fedora = first(_GCC.format("Fedora release 41\ngcc (GCC) 14.2.1 20240912 (Red Hat 14.2.1-3)"))[1]
    assert "sudo dnf install gcc13-c++" in fedora
    rocky = first(_GCC.format("Rocky Linux release 9.4\ngcc (GCC) 14.2.1 20240912 (Red Hat 14.2.1-3)"))[1]
    assert "sudo dnf install gcc-toolset-13-gcc-c++" in rocky


_NO_WHEEL = "Python 3.13.2\n{} pip install torch==2.2.2\nERROR: No matching distribution found for torch==2.2.2"


@pytest.mark.parametrize(
    ("prompt", "makes"),
    [
        ("(venv) PS D:\\seg>", "py '-3.12' -m venv py3.12"),
        ("(.venv) ada@lab:~/net$", "python3.12 -m venv py3.12"),
        ("(net) ada@lab:~/miniconda3/net$", "conda create -n py3.12 python=3.12"),
    ],
)
def test_another_python_comes_by_what_made_the_environment(prompt: str, makes: str) -> None:
    assert makes in first(_NO_WHEEL.format(prompt))[1]


def test_a_package_of_conda_is_of_the_cuda_that_the_cache_is_named_after() -> None:
    log = """Emitting ninja build file /home/ada/.cache/kit/torch_extensions/torch2.3_cu12.4/build.ninja...
c++ a.o -L/home/ada/miniconda3/envs/net/lib64 -lcudart -o a.so
/usr/bin/ld: cannot find -lcudart: No such file or directory"""
    assert "conda install -c nvidia/label/cuda-12.4.0 cuda-cudart-dev" in first(log)[1]


def test_the_torch_that_pip_has_is_named_once() -> None:
    log = "torchaudio 2.4.1 requires torch==2.4.1, but you have torch 2.4.0 which is incompatible."
    assert findings(log)[0].cause == "torch==2.4.1 is required, but 2.4.0 is installed."
