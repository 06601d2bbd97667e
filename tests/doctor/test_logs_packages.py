"""Tests that a finding goes by the packages and the Python that the log itself shows."""

from __future__ import annotations

import pytest
from doctor.reading import findings, told

_CV2 = "AttributeError: module 'cv2' has no attribute 'imshow'"
_CUPY = 'File "/e/lib/python3.10/site-packages/cupy/__init__.py", line 17, in <module>\nImportError: libnvrtc.so.12: cannot open shared object file: No such file or directory'
_PROVIDER = "UserWarning: Specified provider 'CUDAExecutionProvider' is not in available provider names.Available providers: 'CPUExecutionProvider'"
_FAISS = "AttributeError: module 'faiss' has no attribute 'StandardGpuResources'"
_MMCV = 'File "/e/lib/python3.8/site-packages/mmcv/ops/__init__.py", line 2, in <module>\nImportError: /e/lib/python3.8/site-packages/mmcv/_ext.so: undefined symbol: _ZN2at4_ops5zeros4callEv'


@pytest.mark.parametrize(
    ("listed", "failed", "fix"),
    [
        (
            "$ pip freeze\nopencv-python==4.10.0.84\nopencv-python-headless==4.9.0.80",
            _CV2,
            ["pip uninstall -y opencv-python opencv-python-headless", "pip install --no-deps opencv-python==4.10.0.84"],
        ),
        (
            "$ pip list\ntorch                    2.4.0+cu118\ncupy-cuda11x             13.0.0\ncupy-cuda12x             13.1.0",
            _CUPY,
            ["pip uninstall -y cupy-cuda11x cupy-cuda12x", "pip install --no-deps cupy-cuda11x==13.0.0"],
        ),
        (
            "[pip3] onnxruntime==1.20.1\n[pip3] onnxruntime-gpu==1.19.2",
            _PROVIDER,
            ["pip uninstall -y onnxruntime onnxruntime-gpu", "pip install --no-deps onnxruntime-gpu==1.19.2"],
        ),
        (
            "$ conda list faiss\nfaiss-cpu                 1.8.0                    pypi_0    pypi\n"
            "faiss-gpu                 1.7.2                    pypi_0    pypi",
            _FAISS,
            ["pip uninstall -y faiss-cpu faiss-gpu", "pip install --no-deps faiss-gpu==1.7.2"],
        ),
        (
            "$ pip list\nmmcv                     1.7.1\nmmcv-full                1.7.2",
            _MMCV,
            ["pip uninstall -y mmcv mmcv-full", "mim install mmcv-full==1.7.2"],
        ),
    ],
)
def test_of_two_packages_of_one_module_one_is_kept(listed: str, failed: str, fix: list[str]) -> None:
    found, typed = told(f"{listed}\n$ python run.py\nTraceback (most recent call last):\n{failed}\n")
    assert found == "package-twice"
    assert [line for line in typed if line in fix] == fix


@pytest.mark.parametrize(
    ("listed", "failed"),
    [
        (
            "opencv-python==4.10.0.84\nopencv-python-headless==4.9.0.80",
            "AttributeError: module 'faiss' has no attribute 'X'",
        ),
        (
            "onnxruntime-extensions==0.11.0\nonnxruntime-gpu==1.19.2",
            "ImportError: cannot import name 'X' from 'onnxruntime' (/e/lib/python3.10/site-packages/onnxruntime/__init__.py)",
        ),
        ("pynvml==12.0.0\nnvidia-ml-py==12.570.86", "AttributeError: module 'pynvml' has no attribute 'X'"),
        ("opencv-python==4.10.0.84", _CV2),
    ],
)
def test_packages_that_go_together_are_none(listed: str, failed: str) -> None:
    found = findings(f"$ pip freeze\n{listed}\n$ python run.py\nTraceback (most recent call last):\n{failed}\n")
    assert "package-twice" not in [one.id for one in found]


def test_only_what_is_there_is_uninstalled() -> None:
    failed = '  File "/e/lib/python3.8/site-packages/spconv/core.py", line 5, in <module>\nImportError: arg(): could not convert default argument (type not registered yet?)'
    listed = "$ pip list\nspconv-cu117             2.3.6\ncumm-cu118               0.4.11\n"
    assert "pip uninstall -y spconv-cu117 cumm-cu118" in told(f"{listed}{failed}")[1]
    assert "pip uninstall -y spconv cumm" in told(failed)[1]


def test_what_cupy_says_of_its_packages_is_read() -> None:
    said = "CuPy may not function correctly because multiple CuPy packages are installed\n  in your environment:\n\n"
    failed = "ImportError: libcublas.so.12: cannot open shared object file: No such file or directory"
    found, typed = told(f"  {said}    cupy-cuda11x, cupy-cuda12x\n\nTraceback (most recent call last):\n{failed}")
    assert found == "package-twice"
    assert typed == ["pip uninstall -y cupy-cuda11x cupy-cuda12x", "pip install cupy-cuda12x"]


def test_onnxruntime_without_cuda_is_replaced() -> None:
    found, typed = told(f"$ pip freeze\nonnxruntime==1.20.1\n$ python a.py\n{_PROVIDER}\n{'RuntimeError: no GPU'}\n")
    assert found == "not-compiled-with-gpu"
    assert typed[:2] == ["pip uninstall -y onnxruntime", "pip install onnxruntime-gpu"]


_NUMPY = '  File "/e/lib/python3.11/site-packages/xtcocotools/mask.py", line 3, in <module>\nValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from PyObject'


def test_a_numpy_that_is_asked_for_stays() -> None:
    anew = "pip install --no-build-isolation --no-cache-dir --no-deps --force-reinstall --no-binary xtcocotools xtcocotools"
    typed = told(f"$ pip install 'numpy<2' xtcocotools==1.14.3\n$ python a.py\n{_NUMPY}")[1]
    assert f"{anew}==1.14.3" in typed and "pip install --upgrade numpy" not in typed
    assert "pip install setuptools wheel cython numpy" in typed
    assert "pip install --upgrade numpy" in told(f"$ python a.py\n{_NUMPY}")[1]


@pytest.mark.parametrize(
    ("log", "fix"),
    [
        (
            "$ git clone https://h/sam2.git\nCloning into 'sam2'...\n$ python app.py\nTraceback (most recent call last):\n"
            "ImportError: cannot import name 'build_sam' from 'sam2' (unknown location)",
            ["mv sam2 sam2-repo", "pip install -e ./sam2-repo", "python app.py"],
        ),
        (
            'ada@lab:~/p$ python run.py\nTraceback (most recent call last):\n  File "/home/ada/p/run.py", line 1, in <module>\n'
            "ModuleNotFoundError: No module named 'triton.language'; 'triton' is not a package",
            ["mv /home/ada/p/triton.py /home/ada/p/my_triton.py", "python run.py"],
        ),
        (
            "ada@lab:~/p$ python run.py\nTraceback (most recent call last):\n"
            "ImportError: cannot import name 'load_dataset' from 'datasets' (/home/ada/p/datasets/__init__.py)",
            ["mv /home/ada/p/datasets /home/ada/p/my_datasets", "python run.py"],
        ),
        (
            'ada@lab:~/p$ python run.py\nTraceback (most recent call last):\n  File "/home/ada/p/torch.py", line 1, in <module>\n'
            "AttributeError: partially initialized module 'torch' has no attribute 'nn' (most likely due to a circular import)",
            ["mv /home/ada/p/torch.py /home/ada/p/my_torch.py", "python run.py"],
        ),
        (
            "ada@lab:~/p$ python run.py\nTraceback (most recent call last):\nAttributeError: module 'random' has no attribute 'seed' "
            "(consider renaming '/home/ada/p/random.py' since it has the same name as the standard library module named 'random')",
            ["mv /home/ada/p/random.py /home/ada/p/my_random.py", "python run.py"],
        ),
    ],
)
def test_what_hides_a_package_gets_another_name(log: str, fix: list[str]) -> None:
    assert told(log) == ("name-shadowed", fix)


def test_what_is_missing_is_not_hidden() -> None:
    there = "ImportError: cannot import name 'X' from 'datasets' (/e/lib/python3.10/site-packages/datasets/__init__.py)"
    checkout = "ImportError: cannot import name 'ops' from 'mmcv' (/home/ada/mmcv/mmcv/__init__.py)"
    compiled = "ImportError: cannot import name '_C' from 'torchvision' (/home/ada/vision/torchvision/__init__.py)"
    for said in (
        *(there, checkout, compiled),
        "ImportError: cannot import name 'X' from 'net' (/home/ada/p/net/__init__.py)",
        "ModuleNotFoundError: No module named 'sam2.build_sam'",
    ):
        assert findings(f"$ python run.py\nTraceback (most recent call last):\n{said}")[0].id != "name-shadowed"


def test_a_long_message_is_quoted_by_whole_sentences() -> None:
    said = "The first sentence says why it stopped. " * 12
    cause = findings(f'Traceback (most recent call last):\n  File "/h/a.py", line 1, in f\nRuntimeError: {said}')[
        0
    ].cause
    assert cause.startswith("Python stopped with RuntimeError: The first") and "stopped. The line is in the" in cause


_CP313 = (
    "error: Distribution `torch==2.4.1+cu121 @ registry+https://download.pytorch.org/whl/cu121` can't be installed because "
    "it doesn't have a source distribution or wheel for the current platform\n\nhint: You're using CPython 3.13 (`cp313`), but "
    "`torch` (v2.4.1+cu121) only has wheels with the following Python ABI tags: `cp38`, `cp312`"
)


def test_uv_gets_another_python_within_what_the_project_allows() -> None:
    allowed = 's/^requires-python *=.*/requires-python = "==3.12.*"/'
    log = f'$ cat pyproject.toml\nrequires-python = ">=3.13"\n$ uv add torch==2.4.1\nUsing CPython 3.13.2\n{_CP313}'
    edit = f"sed -i -E '{allowed}' pyproject.toml"
    assert told(log)[1] == [edit, "uv python pin 3.12", "uv add torch==2.4.1"]
    assert told(f"$ uv sync\nUsing CPython 3.13.2\n{_CP313}")[1] == ["uv python pin 3.12", "uv sync"]


@pytest.mark.parametrize(
    ("log", "fix"),
    [
        (
            "$ uv python pin 3.12\nerror: The requested Python version `3.12` is incompatible with the project "
            "`requires-python` value of `>=3.13`.",
            [
                "sed -i -E 's/^requires-python *=.*/requires-python = \"==3.12.*\"/' pyproject.toml",
                "uv python pin 3.12",
            ],
        ),
        (
            "$ uv add acme\nerror: The requested interpreter resolved to Python 3.8.10, which is incompatible with the "
            "project's Python requirement: `>=3.10`",
            ["uv python pin 3.10", "uv add acme"],
        ),
        (
            "$ pip install acme\nERROR: Package 'acme' requires a different Python: 3.8.10 not in '>=3.10'",
            ["conda create -n py3.10 python=3.10", "conda activate py3.10", "pip install acme"],
        ),
        (
            "$ pip install acme\nERROR: Package 'acme' requires a different Python: 3.12.1 not in '>=3.8,<3.12'",
            ["conda create -n py3.11 python=3.11", "conda activate py3.11", "pip install acme"],
        ),
    ],
)
def test_a_python_that_is_refused_is_exchanged_for_one_that_fits(log: str, fix: list[str]) -> None:
    assert told(log) == ("python-version", fix)
