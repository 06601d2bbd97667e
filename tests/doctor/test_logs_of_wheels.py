"""A package that has a wheel for a torch gets it in every situation, whatever form that wheel has."""

from __future__ import annotations

import pytest
from doctor.reading import findings

from dcnbuild.machine import prebuilt

_SITE = "/e/lib/python3.10/site-packages"
_RUN = 'Traceback (most recent call last):\n  File "/home/u/run.py", line 3, in <module>\n    import it\n'
#: Package → its compiled module, else itself; the torch of the log; a part of the wheel, or of where it is.
_PACKAGES = {
    "flash-attn": ("flash_attn_2_cuda", "2.4.1+cu121", "+cu12torch2.4cxx11abiFALSE-cp310-cp310-linux_x86_64.whl"),
    "mamba-ssm": ("selective_scan_cuda", "2.4.1+cu121", "+cu12torch2.4cxx11abiFALSE-cp310-cp310-linux_x86_64.whl"),
    "causal-conv1d": ("causal_conv1d_cuda", "2.4.1+cu121", "+cu12torch2.4cxx11abiFALSE-cp310-cp310-linux_x86_64.whl"),
    "natten": ("natten", "2.6.0+cu124", "natten==0.17.5+torch260cu124 -f https://whl.natten.org"),
    "torch-scatter": ("torch_scatter", "2.4.1+cu121", "torch-scatter -f https://data.pyg.org/whl/torch-2.4.0+cu121.html"),
    "kaolin": ("kaolin", "2.4.1+cu121", "'kaolin>=0.12' -f https://nvidia-kaolin.s3.us-east-2.amazonaws.com/torch-2.4.1_cu121.html"),
    "gsplat": ("gsplat", "2.4.1+cu121", "gsplat --index-url https://docs.gsplat.studio/whl/pt24cu121"),
    "dgl": ("dgl", "2.4.1+cu121", "dgl -f https://data.dgl.ai/wheels/torch-2.4/cu121/repo.html"),
    "mmcv": ("mmcv._ext", "2.1.2+cu121", "mmcv==2.1.0 -f https://download.openmmlab.com/mmcv/dist/cu121/torch2.1.0/index.html"),
    "xformers": ("xformers", "2.4.1+cu121", "xformers==0.0.28.post1 --index-url https://download.pytorch.org/whl/cu121"),
    "vllm": ("vllm", "2.5.1+cu124", "vllm==0.7.3"),
    "torchvision": ("torchvision", "2.4.1+cu121", "'torchvision==0.19.*' --index-url https://download.pytorch.org/whl/cu121"),
    "torchcodec": ("torchcodec", "2.4.1+cu121", "torchcodec==0.0.3 --index-url https://download.pytorch.org/whl/cu121"),
}  # fmt: skip
#: What has failed; the lines that say so.
_SITUATIONS = {
    "missing": f"$ python run.py\n{_RUN}ModuleNotFoundError: No module named 'MODULE'",
    "symbol": f"{_RUN}ImportError: {_SITE}/NAME/_C.cpython-310-x86_64-linux-gnu.so: undefined symbol: _ZNK3c105Error4whatEv",
    "build": "$ pip install PACKAGE --no-build-isolation\n  error: [Errno 2] No such file or directory: '/usr/local/cuda/bin/nvcc'\n"
    "  ERROR: Failed building wheel for PACKAGE",
    "isolated": "$ pip install PACKAGE\n  × Getting requirements to build wheel did not run successfully.\n"
    "      ModuleNotFoundError: No module named 'torch'\nERROR: Failed to build 'PACKAGE'",
    "import": f"{_RUN}  File \"{_SITE}/NAME/__init__.py\", line 3, in <module>\n    from . import _C\n"
    f"ImportError: cannot import name '_C' from 'NAME' ({_SITE}/NAME/__init__.py)",
    "kernel": f"{_RUN}  File \"{_SITE}/NAME/ops.py\", line 3, in <module>\n"
    "RuntimeError: CUDA error: no kernel image is available for execution on the device",
}  # fmt: skip


def _said(package: str, situation: str, torch: str) -> str:
    module = _PACKAGES[package][0]
    log = _SITUATIONS[situation].replace("PACKAGE", package).replace("NAME", package.replace("-", "_"))
    return "\n".join(findings(f"torch {torch}\nPython 3.10.12\n{log.replace('MODULE', module)}")[0].fix)


@pytest.mark.parametrize("situation", _SITUATIONS)
@pytest.mark.parametrize("package", _PACKAGES)
def test_a_wheel_is_offered_in_every_situation(package: str, situation: str) -> None:
    said = _said(package, situation, _PACKAGES[package][1])
    assert _PACKAGES[package][2] in said
    # nobody compiles what has no sources, and pip's words stand there once
    assert not (prebuilt.only_wheels(package) and f"--no-binary {package}" in said)
    assert said.count(_PACKAGES[package][2]) == 1


@pytest.mark.parametrize("situation", ["missing", "symbol", "build"])
@pytest.mark.parametrize("torch", ["2.4.0a0+gitabc", "2.4.1+cpu", "2.4.1+rocm6.1"])
@pytest.mark.parametrize("package", ["flash-attn", "natten", "kaolin", "gsplat", "dgl"])
def test_no_wheel_for_cuda_goes_to_another_torch(package: str, torch: str, situation: str) -> None:
    said = _said(package, situation, torch)
    assert ".whl" not in said and "-f https" not in said and "pt24" not in said


@pytest.mark.parametrize("package", ["torch-scatter", "kaolin", "dgl", "nerfacc"])
def test_a_page_is_asked_of_torch_where_its_cuda_is_not_known(package: str) -> None:
    name, code, such = prebuilt.asked_page(package, "", "", "", "linux")
    assert name.startswith(package) and such.startswith("https://") and such.endswith(".html")
    assert "{" not in code + such
    compile(code, package, "exec")
    assert not prebuilt.asked_page(package, "2.4.1+cu121", "12.1", "", "linux")
