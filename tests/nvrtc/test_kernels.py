"""Which kernels are compiled, for which GPU, and when one that is in the cache serves."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from nvrtc.compile import expressions

from dcnbuild.builder import cache, gpu_route, kernels
from dcnbuild.builder.kernels import KernelCompiler, architecture
from dcnbuild.builder.record import LibraryRecord
from dcnbuild.builder.sources import csrc_dir
from dcnbuild.errors import FindingError
from dcnbuild.machine.facts import TorchInstall
from dcnbuild.machine.nvrtc import HEADERS, NvrtcInstall, find_nvrtc

JOIN = "dcnbuild::cuda::join_tiles_kernel<float>"
KNOWN = (75, 80, 86, 90, 100, 120)


@pytest.mark.parametrize(
    ("capability", "target"),
    [
        (75, "sm_75"),
        (87, "sm_86"),
        (89, "sm_86"),
        (90, "sm_90"),
        (110, "compute_100"),
        (130, "compute_120"),
    ],
)
def test_code_of_the_gpus_own_major_or_else_ptx(capability: int, target: str) -> None:
    assert architecture(KNOWN, capability) == target


def test_a_gpu_that_is_too_old() -> None:
    with pytest.raises(FindingError, match=r"compute capability 7\.0, and NVRTC compiles for 7\.5"):
        architecture(KNOWN, 70)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    return Path(shutil.copytree(csrc_dir(), tmp_path / "csrc"))


def test_a_kernel_is_compiled_once_for_each_of_what_decides_it(
    nvrtc: NvrtcInstall, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cubin that is stale, damaged or owned by another user is compiled again."""
    env = {"DCNBUILD_CACHE": str(tmp_path / "cache")}
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where the cache's stand-ins are
    monkeypatch.setattr(cache, "_SHARED", ())
    compiled: list[str] = []

    def compiler() -> KernelCompiler:
        made = KernelCompiler(nvrtc, sources, env)
        original = made._compile
        monkeypatch.setattr(made, "_compile", lambda name, target: compiled.append(target) or original(name, target))
        return made

    first = compiler().kernel(JOIN, 90)
    assert first.names == ("_ZN8dcnbuild4cuda17join_tiles_kernelIfEEviiNS0_13SortedCornersIT_EEPKS3_PS3_",)
    assert compiler().kernel(JOIN, 90) == first
    assert compiled == ["sm_90"]
    assert compiler().kernel(JOIN, 80).image != first.image
    assert compiled == ["sm_90", "sm_80"]

    header = sources / "common" / "cuda" / "sorted_scatter.cuh"
    header.write_text(header.read_text().replace("image[", "(image + 1)["))
    compiler().kernel(JOIN, 90)
    assert compiled[2:] == ["sm_90"]

    header.write_text(header.read_text().replace("(image + 1)[", "image["))
    (entry,) = (path for path in (tmp_path / "cache").rglob("kernel.cubin") if path.read_bytes() == first.image)
    entry.write_bytes(bytes(len(first.image)))
    # not the same bytes: NVRTC names what is internal by the moment
    mended = compiler().kernel(JOIN, 90)
    assert (mended.names, len(mended.image)) == (first.names, len(first.image))
    assert len(compiled) == 4
    assert entry.read_bytes() == mended.image
    assert compiler().kernel(JOIN, 90) == mended
    assert len(compiled) == 4

    (tmp_path / "cache" / "jit").chmod(0o777)  # another user may have put it there
    with pytest.warns(RuntimeWarning, match="cannot cache compiled kernels there"):
        assert compiler().kernel(JOIN, 90).names == first.names
    assert len(compiled) == 5


def test_the_key_holds_compiler_headers_and_name(nvrtc: NvrtcInstall, tmp_path: Path) -> None:
    for name in HEADERS:
        (tmp_path / name).write_text("// another\n")
    one = KernelCompiler(nvrtc, csrc_dir(), {})
    two = KernelCompiler(replace(nvrtc, include=tmp_path), csrc_dir(), {})
    keys = {
        one.key(JOIN, "sm_90"),
        one.key(JOIN + " ", "sm_90"),
        one.key(JOIN, "sm_80"),
        two.key(JOIN, "sm_90"),
    }
    assert len(keys) == 4


def _torch(site: Path, cuda: str | None, version: str = "2.14.1") -> TorchInstall:
    return TorchInstall(root=site / "torch", version=version, cuda=cuda)


def test_what_is_missing_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.setattr("sys.prefix", str(tmp_path / "none"))
    for cuda, lib, include, suffix in (
        ("13.0", "nvidia/cu13/lib", "nvidia/cu13/include", ""),
        ("12.8", "nvidia/cuda_nvrtc/lib", "nvidia/cuda_runtime/include", "-cu12"),
    ):
        torch, major = _torch(tmp_path, cuda), cuda.partition(".")[0]
        assert find_nvrtc(torch, {}) == (
            f"there is no libnvrtc.so.{major} beside torch: pip install nvidia-cuda-nvrtc{suffix}"
        )
        (tmp_path / lib).mkdir(parents=True)
        for name in (
            "libnvrtc.so",
            "libnvrtc.alt.so",
            "libnvrtc-builtins.so",
            "libnvrtc-builtins.alt.so",
        ):
            (tmp_path / lib / f"{name}.{major}").touch()
        assert find_nvrtc(torch, {}) == (
            f"there is no cuda_fp16.h beside torch: pip install nvidia-cuda-runtime{suffix}"
        )
        (tmp_path / include).mkdir(parents=True)
        for name in HEADERS:
            (tmp_path / include / name).touch()
        assert find_nvrtc(torch, {}) == NvrtcInstall(
            tmp_path / lib / f"libnvrtc.so.{major}",
            (tmp_path / lib / f"libnvrtc-builtins.so.{major}",),
            tmp_path / include,
        )


@pytest.mark.parametrize(
    ("torch", "said"),
    [
        (_torch(Path("/s"), None), "is built without CUDA"),
        (replace(_torch(Path("/s"), None), hip="6.4"), "is built for ROCm"),
        (_torch(Path("/s"), "12.1", "2.5.1"), "this route needs torch>=2.10, this is torch 2.5.1"),
        (_torch(Path("/s"), "11.7", "1.13.1"), "dcnbuild needs torch>=2.0"),
    ],
)
def test_torches_that_the_route_does_not_serve(torch: TorchInstall, said: str) -> None:
    assert said in (kernels.refusal(torch, os.environ) or "")


def test_a_prebuilt_library_is_compared_with_the_gpus() -> None:
    built = ("sm_80", "sm_90", "compute_90")
    assert gpu_route.lacking(built, [(8, 0), (8, 9), (9, 0), (12, 0)]) is None
    assert gpu_route.lacking(built, []) is None
    assert gpu_route.lacking(built, [(9, 0), (7, 5)]) == (
        "it holds code for sm_80 sm_90 compute_90, and this GPU is sm_75"
    )


@pytest.mark.parametrize(
    ("toolkit", "driver", "said"),
    [
        ("CUDA 13.0", (12, 8), "it was built by CUDA 13.0, and this driver knows CUDA up to 12.8"),
        ("CUDA 13.0", (13, 0), None),
        ("CUDA 12.9", (12, 2), None),
        ("CUDA 12.8", (13, 1), None),
        ("CUDA 13.0", None, None),
        (None, (12, 8), None),
    ],
)
def test_a_prebuilt_library_is_compared_with_the_driver(
    toolkit: str | None, driver: tuple[int, int] | None, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime inside the library that is newer than the driver fails at every call."""
    built = LibraryRecord("", 0, "", ("sm_90",), (), toolkit)
    monkeypatch.setattr(gpu_route, "driver_cuda", lambda: driver)
    monkeypatch.setattr(gpu_route, "_capabilities", lambda: [(9, 0)])
    assert gpu_route.unfit(built) == said
    monkeypatch.setattr(gpu_route, "_capabilities", lambda: [])
    assert gpu_route.unfit(built) is None, "there is no GPU to serve"


def test_names_of_the_linker_and_of_cxx() -> None:
    mangled = ["_ZN8dcnbuild4cuda17join_tiles_kernelIfEEviiNS0_13SortedCornersIT_EEPKS3_PS3_"]
    assert expressions(mangled) == [JOIN]
