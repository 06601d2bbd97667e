"""Rendering, point clouds, graphs and simulators: what their own projects say is wrong, and what mends it."""

from __future__ import annotations

import pytest
from doctor.reading import findings, told

_RAISED = 'Traceback (most recent call last):\n  File "/home/u/net/run.py", line 3, in <module>\n    import it\n'
_COMFY = "/root/ComfyUI/custom_nodes/ComfyUI-Hunyuan3d-2-1"
_NO_RASTERIZER = (
    "!!! Exception during processing !!! No module named 'custom_rasterizer'\nTraceback (most recent call last):\n"
    f'  File "{_COMFY}/hy3dpaint/DifferentiableRenderer/MeshRender.py", line 25, in <module>\n'
    "    import custom_rasterizer as cr\nModuleNotFoundError: No module named 'custom_rasterizer'"
)
_NONE = "ERROR: Could not find a version that satisfies the requirement NAME (from versions: none)"


def _missing(module: str) -> str:
    return f"{_RAISED}ModuleNotFoundError: No module named '{module}'"


@pytest.mark.parametrize(
    ("log", "name", "line"),
    [
        (_NO_RASTERIZER, "extension-not-built", f"cd {_COMFY}/hy3dpaint/custom_rasterizer"),
        (_missing("clip"), "module-missing", "pip install --no-build-isolation git+https://github.com/openai/CLIP"),
        (_missing("warp"), "module-missing", "pip install warp-lang"),
        (_missing("pxr"), "module-missing", "pip install usd-core"),
        (
            "AttributeError: module 'utils3d' has no attribute 'torch'",
            "python-api-changed",
            "pip install git+https://github.com/EasternJournalist/utils3d@9a4eb15e4021b67b12c460c7057d642626897ec8",
        ),
        (
            '  File "/e/lib/python3.9/site-packages/spconv/core.py", line 18, in <module>\n'
            "ImportError: cannot import name 'TensorOpParams' from 'cumm.gemm.algospec.core' (/e/core.py)\n"
            "spconv-cu118 2.1.21\ncumm-cu118 0.4.9",
            "python-api-changed",
            "pip install spconv-cu118",
        ),
        (
            "RuntimeError: Unable to load cuSPARSE. Is it installed?",
            "library-not-found",
            "pip install --upgrade 'jax[cuda12]'",
        ),
        (
            "Warp CUDA error: Failed to get driver entry point 'cuDeviceGetUuid' (CUDA error 1)",
            "library-version",
            "pip install --upgrade warp-lang",
        ),
        (
            "RuntimeError: No gym module found for the active version of Python (3.10)",
            "python-version",
            "conda activate py3.8",
        ),
        (f"C:\\w> pip install bpy\n{_NONE.replace('NAME', 'bpy')}", "package-not-found", "conda activate py3.11"),
        (
            f"$ pip install torch-scatter --no-index -f https://data.pyg.org/whl/torch-2.8.0+${{CUDA}}.html\n"
            f"{_NONE.replace('NAME', 'torch-scatter')}",
            "package-not-found",
            "pip install --force-reinstall --no-deps --only-binary=:all: torch-scatter",
        ),
        (
            "$ pip install git+https://github.com/NVlabs/nvdiffrast\n  × Getting requirements to build wheel did not run "
            "successfully.\n      2. You run 'pip install' with --no-build-isolation flag",
            "build-isolation",
            "pip install --no-build-isolation git+https://github.com/NVlabs/nvdiffrast",
        ),
        (
            "/e/lib/python3.13/site-packages/gsplat/cuda/include/Common.h:4:10: fatal error: glm/gtc/type_ptr.hpp: "
            "No such file or directory",
            "header-missing",
            "git+https://github.com/nerfstudio-project/gsplat",
        ),
        (
            "/e/torch/include/ATen/core/boxing/impl/boxing.h:229:35: error: expected primary-expression before 'void'\n"
            "  229 |     if constexpr (!std::is_same_v<void, Result>) {",
            "cxx-standard",
            "dcnbuild port --in-place .",
        ),
    ],
)
def test_what_mends_it(log: str, name: str, line: str) -> None:
    first, live = told(log)
    assert first == name
    assert any(line in one for one in live), live


def test_the_source_of_a_program_in_a_message_is_no_job() -> None:
    said = "RuntimeError: CUDA error: unknown error (in function f, /builds/omniverse/warp/warp/native/warp.cu:277)"
    assert "gitlab" not in "\n".join(findings(said)[0].fix)
