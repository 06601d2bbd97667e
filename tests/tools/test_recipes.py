"""Tests the files that other tools read: conda's recipe, a repository of Hugging Face's kernels, ClusterFuzzLite's
build.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import CHECKOUT

import dcnbuild
from dcnbuild._version import __version__
from dcnbuild.base.own_requirements import BUILD, RUN
from dcnbuild.builder.sources import csrc_dir
from tools.fuzz import TARGETS
from tools.hub_kernel import LayoutError, lay_out, variants

RECIPE = CHECKOUT / "recipes/conda/recipe.yaml"


@pytest.mark.slow
@pytest.mark.parametrize(("cuda", "switch"), [("None", "off"), ("12.9", "on")])
def test_condas_recipe(cuda: str, switch: str) -> None:
    """rattler-build reads and renders it; its requirements are those of the package's own lists."""
    rattler_build = pytest.importorskip("rattler_build", reason="py-rattler-build is not installed")
    config = rattler_build.VariantConfig(
        {
            "python": ["3.12.*"],
            "cuda_compiler": ["cuda-nvcc"],
            "cuda_compiler_version": [cuda],
            "cxx_compiler": ["gxx"],
            "c_stdlib": ["sysroot"],
        }
    )
    (rendered,) = rattler_build.Stage0Recipe.from_file(RECIPE).render(config)
    recipe = rendered.recipe.to_dict()
    assert recipe["package"] == {"name": "dcnbuild", "version": __version__}
    assert recipe["build"]["script"]["env"]["DCNBUILD_CUDA"] == switch
    needs = recipe["requirements"]
    assert ("cuda-nvcc_linux-64 12.9.*" in needs["build"]) == (switch == "on")

    def listed(requirements: Any) -> set[str]:
        return {f"{it.project} >={it.oldest}" for it in requirements}

    assert listed(BUILD) <= set(needs["host"])
    assert set(needs["run"]) == {*listed(RUN), "python", "pytorch >=2.10"}
    assert (RECIPE.parent / recipe["source"][0]["path"]).resolve() == CHECKOUT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the package under test, without what only builds need."""
    package = Path(dcnbuild.__file__).parent
    if not (package / "lib/build.json").is_file():
        pytest.skip("this dcnbuild has no compiled library")
    if json.loads((package / "lib/build.json").read_text())["flavour"] != "stable":
        pytest.skip("this dcnbuild serves one release of torch")
    path = tmp_path_factory.mktemp("wheel") / f"dcnbuild-{__version__}-py3-none-linux_x86_64.whl"
    sources = csrc_dir()  # in a checkout they are beside the package, and the wheel has them inside
    with zipfile.ZipFile(path, "w") as archive:
        for root, into in ((package, "dcnbuild"), (sources, "dcnbuild/csrc")):
            for file in root.rglob("*"):
                twice = root == package and file.is_relative_to(sources)
                if file.is_file() and "__pycache__" not in file.parts and not twice:
                    archive.write(file, into / file.relative_to(root))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("loader", ["kernels", "importlib"])
def test_a_wheel_as_a_kernel_of_hugging_face(loader: str, wheel: Path, tmp_path: Path) -> None:
    folders = lay_out(wheel, tmp_path)
    assert "torch-stable-abi210-cpu-x86_64-linux" in [folder.name for folder in folders]
    if loader == "kernels":
        pytest.importorskip("kernels", reason="kernels is not installed")
        load = "from kernels import get_local_kernel\nk = get_local_kernel(Path(r), backend='cpu')"
    else:
        load = (
            "import importlib.util as u\n"
            "entry = Path(r, 'build/torch-stable-abi210-cpu-x86_64-linux/__init__.py')\n"
            "s = u.spec_from_file_location('any_name', entry)\n"
            "k = u.module_from_spec(s)\ns.loader.exec_module(k)"
        )
    script = f"""
import sys, torch
from pathlib import Path
r = {str(tmp_path)!r}
{load}
assert Path(sys.modules["dcnbuild"].__file__).is_relative_to(r), sys.modules["dcnbuild"]
x, w = torch.rand(1, 2, 5, 6), torch.rand(3, 2, 3, 3)
out = k.deform_conv2d(x, torch.zeros(1, 18, 5, 6), w, padding=1)
assert torch.allclose(out, torch.nn.functional.conv2d(x, w, padding=1), atol=1e-5)
assert "prebuilt" in str(sys.modules["dcnbuild.builder.native"].ensure("cpu"))
"""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "DCNBUILD_ROUTE": "prebuilt"}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_variants_of_a_kernel() -> None:
    build = {"flavour": "stable", "torch": "2.12.0", "libraries": {"cpu": {}, "cuda": {}}}
    assert variants(build, "aarch64") == {
        "torch-stable-abi210-cpu-aarch64-linux": {"type": "cpu"},
        "torch-stable-abi210-cu120-aarch64-linux": {"type": "cuda"},
        "torch-stable-abi210-cu130-aarch64-linux": {"type": "cuda"},
    }
    with pytest.raises(LayoutError, match=r"serves torch 2\.5\.1 only"):
        variants({**build, "flavour": "aten", "torch": "2.5.1"}, "x86_64")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dcnbuild-0.1.0-py3-none-any.whl", "does not name Linux"),
        ("dcnbuild-0.1.0-py3-none-manylinux_2_28_aarch64.whl", "has no dcnbuild/lib/build.json"),
    ],
)
def test_what_is_no_kernel(name: str, said: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("dcnbuild/__init__.py", "")
    with pytest.raises(LayoutError, match=said):
        lay_out(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_clusterfuzzlite_makes_a_fuzzer_of_each_target(tmp_path: Path) -> None:
    """Runs build.sh with programs in the place of pip3 and of the base image's, and then what it hands to them."""
    calls = tmp_path / "calls"
    spy = '#!/bin/sh\necho "$(basename "$0") $*" >> "$CALLS"\n'
    keep = spy + 'case "$1" in *.py) cp "$1" "$KEPT";; esac\n'
    for name, text in (("pip3", spy), ("compile_python_fuzzer", keep)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "python3").symlink_to(sys.executable)
    (tmp_path / "kept").mkdir()
    env = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "CALLS": str(calls),
        "KEPT": str(tmp_path / "kept"),
        "PYTHONPATH": str(CHECKOUT),
    }
    script = CHECKOUT / ".clusterfuzzlite/build.sh"
    subprocess.run([str(script)], cwd=CHECKOUT, env=env, check=True)
    made = {path.name for path in (tmp_path / "kept").iterdir()}
    assert made == {f"{name}_fuzzer.py" for name in TARGETS}
    assert calls.read_text().count("compile_python_fuzzer") == len(TARGETS)
    assert "pip3 install --no-build-isolation ." in calls.read_text()
    fuzzer = tmp_path / "kept/audit_fuzzer.py"
    # a program named atheris says what it is asked to fuzz
    (tmp_path / "atheris.py").write_text(
        "import contextlib\ninstrument_imports = lambda include: contextlib.nullcontext()\n"
        "Setup = lambda argv, target: print(target.__name__, argv[1:])\nFuzz = lambda: None\n"
    )
    env["PYTHONPATH"] += f":{tmp_path}"
    done = subprocess.run([sys.executable, str(fuzzer), "-runs=1"], env=env, capture_output=True, text=True)
    assert done.stdout == "audit ['-runs=1']\n", done.stderr


def test_clusterfuzzlites_files_agree() -> None:
    project = yaml.safe_load((CHECKOUT / ".clusterfuzzlite/project.yaml").read_text())
    workflow = yaml.safe_load((CHECKOUT / ".github/workflows/fuzz.yml").read_text())
    build, run = workflow["jobs"]["fuzz"]["steps"]
    assert build["with"]["language"] == project["language"] == "python"
    assert build["with"]["sanitizer"] == run["with"]["sanitizer"]
    dockerfile = (CHECKOUT / ".clusterfuzzlite/Dockerfile").read_text()
    assert "base-builder-python" in dockerfile and "build.sh $SRC/" in dockerfile
