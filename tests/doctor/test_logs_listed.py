"""What a log lists is a fact for its fixes: modules of a cluster, packages, files, versions that were printed."""

from __future__ import annotations

import pytest
from doctor.reading import findings, fix

UNSET = "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root.\n"
KERNEL = "error in ms_deformable_im2col_cuda: no kernel image is available for execution on the device\n"
NEWER = "NVIDIA B200 with CUDA capability sm_100 is not compatible with the current PyTorch installation.\n"


@pytest.mark.parametrize(
    ("printed", "listed", "line"),
    [
        ("2.4.0+cu124 12.4", "cuda/11.8.0  cuda/12.4.1", "module load cuda/12.4.1"),
        ("2.4.0+cu121 12.1", "CUDA/11.7.0  CUDA/12.4.0", "module load CUDA/12.4.0"),  # newer, of the same major
        ("2.4.0+cu118 11.8", "cuda/12.4.1 (L)", ""),
    ],
)
def test_a_toolkit_is_that_of_a_module(printed: str, listed: str, line: str) -> None:
    asked = f'$ python -c "import torch; print(torch.__version__, torch.version.cuda)"\n{printed}\n'
    lines = fix(f"$ pip install ./ops\n{UNSET}$ module avail cuda\n   {listed}\n{asked}")
    assert [one for one in lines if one.startswith("module")] == [line] * bool(line)
    assert not any(one.startswith("export CUDA_HOME=/usr/local/cuda/") for one in lines)


def test_no_line_sets_what_is_not_there() -> None:
    """torch has looked in /usr/local/cuda before it says this, and `ls` says the same of all."""
    lines = fix(f"(net) a@b:~$ pip install ./ops\n{UNSET}torch 2.3.1+cu121\n/home/a/miniconda3/envs/net/bin\n")
    assert "conda install -c nvidia/label/cuda-12.1.0 cuda-toolkit" in lines
    assert not any("/usr/local/cuda" in one for one in lines)
    refused = "NotImplementedError: Cuda is not availabel\n"
    gone = "ls: cannot access '/usr/local/cuda*': No such file or directory\n"
    assert any("CUDA_HOME=/usr/local" in one for one in fix(refused))
    assert not any("CUDA_HOME=/usr/local" in one for one in fix(f"{refused}{gone}"))


def test_a_script_that_refuses_is_said_to_refuse() -> None:
    refused = findings("  File 'setup.py', line 4\nNotImplementedError: Cuda is not availabel")[0]
    assert refused.title == "setup.py sees no GPU, or no CUDA toolkit" and "is_available()" in refused.cause
    image = findings("#9 [5/6] RUN python setup.py install\n#9 2.1 NotImplementedError: Cuda is not available")[0]
    assert "No GPU is visible while an image is built" in image.cause
    assert findings(UNSET)[0].title == "CUDA_HOME is not set"


def test_what_was_compiled_for_the_old_torch_is_built_anew() -> None:
    listed = "gsplat 1.4.0+pt24cu124\nnumpy 1.26.4\nfused-ssim 0.0.0\ntorch 2.4.1+cu124\ntorchvision 0.19.1+cu124\n"
    lines = fix(NEWER + listed)
    torch = next(n for n, line in enumerate(lines) if line.startswith("pip install torch"))
    anew = next(n for n, line in enumerate(lines) if "--no-deps" in line)
    assert anew > torch and lines[anew].endswith(" gsplat") and "numpy" not in lines[anew]
    assert any(line.startswith("#") and line.endswith("fused-ssim") for line in lines)
    assert not any("compiled for the old torch" in line for line in fix(NEWER + "numpy 1.26.4\ntorch 2.4.1\n"))


def test_a_source_that_nobody_compiled_is_named() -> None:
    setup = "sources=['ops/bind.cpp', 'ops/nms.cu'],\n$ ls ops\nbind.cpp nms.cu roi_align.cu\n$ pip install -e .\n"
    made = "[1/2] c++ -c ops/bind.cpp -o bind.o\n[2/2] nvcc -c ops/nms.cu -o nms.o\n"
    error = "ImportError: /w/net/_C.so: undefined symbol: _Z17roi_align_forwardRKN2at6TensorES2_fii\n"
    found = findings(setup + made + error)[0]
    assert "ops/roi_align.cu" in found.cause
    assert any(line.startswith("sed") and "ops/nms.cu" in line and "ops/roi_align.cu" in line for line in found.fix)
    # one that was compiled is not left out
    assert "roi_align.cu" not in findings(f"{setup}{made}nvcc -c ops/roi_align.cu\n{error}")[0].cause


def test_what_was_built_elsewhere_is_built_there() -> None:
    built = "[h@l ~]$ cd ~/d/models/ops && python setup.py install\nninja: no work to do.\n"
    lines = fix(f"{built}[h@l ops]$ cd ~/d && python main.py\n{KERNEL}")
    assert "cd ~/d/models/ops" in lines and lines.index("cd ~/d/models/ops") < lines.index("rm -rf build")
    assert not any(line.startswith("cd ") for line in fix(f"[h@l ops]$ python setup.py install\n{KERNEL}"))


def test_what_installs_is_not_for_the_job_script() -> None:
    error = (
        "ImportError: /e/lib/python3.11/site-packages/flash_attn_2_cuda.so: undefined symbol: _ZN3c104cuda9SetDeviceEab"
    )
    lines = fix(f"$ cat slurm-9.out\n{error}\nsrun: error: n1: task 0: Exited with exit code 1\n")
    assert any(line.startswith("pip install") for line in lines)
    assert not any("job script" in line for line in lines) and "Once, by hand" in lines[0]


def test_only_advice_to_the_reader_is_quoted() -> None:
    raised = "Traceback (most recent call last):\n  File '/w/gen.py', line 2, in <module>\n    plan()\nAcmeError: {}\n"
    said = fix("You should set pad_token first.\n" + raised.format("plan 7") + "(lm) t@u:~$ pip install acme==0.6\n")
    assert not any("The log itself says" in line for line in said)
    asked = fix(raised.format("no plan. Please set ACME_PLAN to build one."))
    assert any("Please set ACME_PLAN" in line for line in asked)
