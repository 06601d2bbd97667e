"""Tests kinds of fixes over many packages and surroundings: what a build needs, images, caches, what goes with torch."""

from __future__ import annotations

import re

import pytest
from doctor.reading import findings

from dcnbuild.doctor.logs.lookups import tables
from dcnbuild.knowledge import modules
from dcnbuild.machine import beside_torch

_UNSET = "OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root."


def fix(log: str) -> list[str]:
    """The lines of the first finding's fix."""
    return list(findings(log)[0].fix)


def _failed_build(command: str, module: str) -> str:
    return (
        f"$ {command}\n  Preparing metadata (setup.py) ... error\n  error: subprocess-exited-with-error\n"
        '      Traceback (most recent call last):\n        File "<string>", line 22, in <module>\n'
        f"      ModuleNotFoundError: No module named '{module}'\n      [end of output]"
    )


@pytest.mark.parametrize(
    ("package", "module", "words"),
    [
        ("flash-attn", "psutil", {"packaging", "psutil", "ninja", "wheel", "setuptools"}),
        ("flash_attn==2.7.4", "wheel", {"packaging", "psutil", "ninja"}),
        ("mamba-ssm", "setuptools", {"packaging", "ninja"}),
        ("mmcv==2.1.0", "psutil", {"setuptools<81", "psutil", "ninja"}),
        ("lap==0.4.0", "numpy", {"cython", "numpy"}),
        ("llama-cpp-python", "scikit_build_core", {"scikit-build-core", "cmake", "ninja"}),
        ("fairseq", "Cython", {"cython", "numpy"}),
        ("anything-else", "einops", {"einops", "packaging", "ninja"}),
    ],
)
@pytest.mark.parametrize("tool", ["pip", "uv pip", "python3.11 -m pip", "py -3.11 -m pip"])
def test_what_a_build_without_isolation_imports_is_installed_in_one_go(
    tool: str, package: str, module: str, words: set[str]
) -> None:
    lines = fix(_failed_build(f"{tool} install --no-build-isolation {package}", module))
    installs = [line for line in lines if re.match(rf"{re.escape(tool)} install (?!--)", line)]
    assert len(installs) == 1
    assert words <= {word.strip("'\"") for word in installs[0].split()}
    assert lines.index(installs[0]) < lines.index(f"{tool} install --no-build-isolation {package}")


def test_what_builds_need_are_names_of_packages() -> None:
    for name, words in tables.rows("build_needs").items():
        re.compile(name)
        assert all(re.fullmatch(r"[a-z][\w-]*(?:<\d+)?", word) for word in words.split()), name


_IMAGES = {
    "nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04": "nvidia/cuda:12.4.1-cudnn-devel-ubuntu22.04",
    "nvidia/cuda:11.8.0-base-ubuntu20.04": "nvidia/cuda:11.8.0-devel-ubuntu20.04",
    "pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime": "pytorch/pytorch:2.5.1-cuda12.4-cudnn9-devel",
    "runpod/pytorch:2.4.0-py3.11-cuda12.4.1-runtime-ubuntu22.04": "runpod/pytorch:2.4.0-py3.11-cuda12.4.1-devel-ubuntu22.04",
}
_PLACES = {
    "#4 [1/5] FROM docker.io/{}@sha256:0a\n#8 [4/5] RUN pip install --no-build-isolation .\n#8 9.1 ": "FROM {}",
    "Step 1/8 : FROM {}\nStep 4/8 : RUN python setup.py install\n": "FROM {}",
    "$ docker run --gpus all -it --rm {} bash\nroot@3f9a1c2b4d5e:/w# pip install .\n": "docker run --gpus all -it --rm {} bash",
    "    Image:         {}\n$ kubectl logs train-0\n": "#     image: {}",
    "Running with gitlab-runner 16.8.0\nUsing Docker executor with image {} ...\n$ pip install .\n": "# image: {}",
    "Template: {}\nroot@7c1d2e3f4a5b:/workspace# pip install .\n": "# {}",
    "$ apptainer exec --nv docker://{} pip install --user .\n": "apptainer exec --nv docker://{} pip install --user .",
}


@pytest.mark.parametrize("image", _IMAGES)
@pytest.mark.parametrize("place", _PLACES)
@pytest.mark.parametrize(
    "message",
    [
        _UNSET,
        "error: [Errno 2] No such file or directory: '/usr/local/cuda/bin/nvcc'",
        "a.cu:1:10: fatal error: cusparse.h: No such file or directory",
    ],
)
def test_an_image_without_a_toolkit_becomes_the_one_with_it(image: str, place: str, message: str) -> None:
    lines = fix(place.format(image) + message)
    assert _PLACES[place].format(_IMAGES[image]) in lines
    assert not any("CUDA_HOME" in line for line in lines)


def test_a_container_without_a_named_image_has_both_ways() -> None:
    lines = fix(f"torch 2.5.1+cu124\nroot@a1b2c3d4e5f6:/app# pip install .\n{_UNSET}")
    assert "nvidia/cuda:12.4.1-devel-ubuntu22.04" in lines[0]
    assert any(line.startswith("export CUDA_HOME=") or "toolkit install" in line for line in lines[1:])


_BUILT = [
    row.package
    for row in modules.rows()
    if row.install[-1:] and "--no-build-isolation" in row.install[-1] and row.package
]


@pytest.mark.parametrize("package", _BUILT)
@pytest.mark.parametrize("tool", ["pip", "uv pip", "poetry run pip"])
def test_a_build_anew_passes_the_cache_of_pip_by(package: str, tool: str) -> None:
    asked = {"poetry run pip": f"poetry add {package}"}.get(tool, f"{tool} install {package}")
    site = f"/v/lib/python3.10/site-packages/{package.replace('-', '_')}/ops.py"
    log = f'$ {asked}\nTraceback (most recent call last):\n  File "{site}", line 3, in f\nRuntimeError: Not compiled with GPU support'
    builds = [line for line in fix(log) if " install " in line and "--no-build-isolation" in line]
    assert builds and all("--no-cache-dir" in line for line in builds)


def test_what_was_set_for_a_build_that_pip_did_not_make_is_set_again() -> None:
    log = (
        "$ FORCE_CUDA=1 pip install --no-build-isolation torch-scatter\n"
        "Processing /root/.cache/pip/wheels/43/ee/torch_scatter-2.1.2-cp310-cp310-linux_x86_64.whl\n"
        '  File "/v/lib/python3.10/site-packages/torch_scatter/scatter.py", line 72, in f\n'
        "RuntimeError: Not compiled with CUDA support"
    )
    lines = [line.removeprefix("# ") for line in fix(log)]  # below the wheel that PyG has
    assert lines.index("export FORCE_CUDA=1") < lines.index(
        "pip install --no-build-isolation --no-cache-dir torch-scatter"
    )


def test_mim_takes_the_release_that_was_asked_for_and_no_wheel_without_ops() -> None:
    log = (
        '$ pip install mmcv==2.1.0\n  File "/v/lib/python3.10/site-packages/mmcv/utils/ext_loader.py", line 13, in f\n'
    )
    lines = fix(f"{log}ModuleNotFoundError: No module named 'mmcv._ext'")
    assert lines.index("pip cache remove 'mmcv*'") < lines.index("mim install mmcv==2.1.0")


_OLD_GPU = "AssertionError: Torch not compiled with CUDA enabled"


@pytest.mark.parametrize("form", ["xformers        {}", "xformers=={}", "[pip3] xformers=={}", "xformers version: {}"])
def test_what_is_made_for_one_torch_goes_with_it(form: str) -> None:
    # another torch takes the release for it; the same for a CUDA keeps the release that was for it
    cuda = "nvcc: Cuda compilation tools, release 12.4, V12.4\n"
    log = f"torch 2.4.1+cpu\n{form.format('0.0.28.post1')}\n{_OLD_GPU}"
    assert any(re.match(r"pip install xformers==0\.0\.28\.post1 ", line) for line in fix(log))
    log = f"{cuda}torch 2.7.0\n{form.format('0.0.30')}\n"
    log += "The detected CUDA version (11.8) mismatches the version that was used to compile PyTorch (12.6)."
    lines = [line for line in fix(log) if "torch==" in line or "xformers" in line]
    release = re.search(r"torch==([\d.]+\d)", lines[0])
    assert release and any(f"xformers=={beside_torch.fitting('xformers', release[1])}" in line for line in lines)


@pytest.mark.parametrize("torch", beside_torch.rows("made_for_torch")["vllm"])
def test_what_asks_for_one_torch_is_exchanged_for_the_release_that_asks_for_this(torch: str) -> None:
    log = f"torch {torch}\nImportError: /v/lib/python3.12/site-packages/vllm/_C.abi3.so: undefined symbol: _ZNK3c105Error4whatEv"
    assert f"pip install vllm=={beside_torch.fitting('vllm', torch)}" in fix(log)
    new_gpu = f"vllm   0.6.3\ntorch   {torch}\nNVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the current PyTorch installation."
    assert "pip install --upgrade vllm --extra-index-url https://download.pytorch.org/whl/cu128" in fix(new_gpu)


@pytest.mark.parametrize(
    ("shown", "there"),
    [
        ("$ pip list\nnumpy     1.26.4", True),
        (
            "$ pip install 'numpy<2'\nRequirement already satisfied: numpy<2 in ./v/lib/python3.11/site-packages (1.26.4)",
            True,
        ),
        ("Successfully installed numpy-1.26.4 torch-2.5.1", True),
        ("$ pip show numpy\nName: numpy\nVersion: 1.26.4", True),
        ("$ pip list\nnumpy     2.0.2", False),
        ("$ pip list\nnumpy     1.26.4\nSuccessfully installed numpy-2.0.2", False),
    ],
)
def test_a_release_that_is_there_is_no_fix(shown: str, there: bool) -> None:
    lines = fix(
        f"{shown}\nA module that was compiled using NumPy 1.x cannot be run in\nImportError: numpy.core.multiarray failed to import"
    )
    assert ("pip install 'numpy<2'" in lines) != there
    assert ("python -m pip install --force-reinstall --no-deps 'numpy<2'" in lines) == there


def test_what_apt_has_is_not_installed_again() -> None:
    log = "libaio-dev is already the newest version (0.3.112).\n/usr/bin/ld: cannot find -laio: No such file or directory\ncollect2: error: ld returned 1 exit status"
    assert not any(line.startswith("sudo apt-get install") for line in fix(log))
    assert any(line.startswith("export LIBRARY_PATH=/usr/lib/x86_64-linux-gnu") for line in fix(log))


def test_a_module_that_a_program_lacks_is_no_dependency_of_a_build_before_it() -> None:
    log = "$ pip install einops\nRequirement already satisfied: einops in /usr/lib/python3/dist-packages (0.8.0)\n$ python3.11 train.py\n"
    found = findings(
        f"{log}  File \"/w/train.py\", line 3, in <module>\n    import einops\nModuleNotFoundError: No module named 'einops'"
    )[0]
    assert found.id == "module-missing" and "pip install einops" not in found.fix


def test_pip_in_an_environment_of_conda_works_in_that_one() -> None:
    log = "$ conda env create -f environment.yml\nRan pip subprocess with arguments:\n['/root/miniconda3/envs/gs/bin/python', '-m', 'pip']\n"
    log += "  Getting requirements to build wheel: finished with status 'error'\nModuleNotFoundError: No module named 'torch'\nCondaEnvException: Pip failed"
    assert fix(log)[0] == "conda activate gs"
