"""Compiled modules of known projects, and how each is built today."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs.owner import owner

if TYPE_CHECKING:
    from dcnbuild.doctor.logs.rule import Hit


@dataclass(frozen=True)
class Extension:
    """A compiled module.

    Attributes:
        project: what it belongs to; "" if not known.
        package: what pip builds or installs; "" for a directory of a checkout.
        directory: where in the checkout it is built; "." for its top.
        replaced: whether dcnbuild has its operators, so that nothing needs to be compiled.
    """

    project: str
    package: str = ""
    directory: str = "."
    replaced: bool = False


_ATTENTION = Extension("Deformable DETR's attention", directory="models/ops")
#: Module → what it is. Source: the setup.py of each project.
_KNOWN: dict[str, Extension] = {
    "mmcv._ext": Extension("mmcv", "mmcv", replaced=True),
    "MultiScaleDeformableAttention": _ATTENTION,
    "ops_dcnv3": Extension("InternImage's DCNv3", directory="ops_dcnv3"),
    "DCNv3": Extension("InternImage's DCNv3", "DCNv3", "ops_dcnv3"),
    "DCNv4": Extension("DCNv4", "DCNv4", "DCNv4_op"),
    "_ext": Extension("DCNv2", directory="DCNv2", replaced=True),
    "DCN": Extension("DCNv2", directory="DCNv2", replaced=True),
    "dcn_v2": Extension("DCNv2", directory="DCNv2", replaced=True),
    "deform_conv_cuda": Extension("the deformable convolution of mmdetection", replaced=True),
    "deform_pool_cuda": Extension("the deformable pooling of mmdetection", replaced=True),
    "deform_conv_ext": Extension("the deformable convolution of BasicSR", replaced=True),
    "spconv.core_cc": Extension("spconv", "spconv-cu120"),
    "cumm.core_cc": Extension("cumm", "cumm-cu120"),
    "groundingdino._C": Extension("GroundingDINO"),
    "detectron2._C": Extension("detectron2"),
    "maskrcnn_benchmark._C": Extension("maskrcnn_benchmark"),
    "pytorch3d._C": Extension("pytorch3d"),
    "torchvision._C": Extension("torchvision", "torchvision"),
    "gsplat.csrc": Extension("gsplat", "gsplat"),
    "diff_gaussian_rasterization": Extension("diff-gaussian-rasterization", directory="submodules/diff-gaussian-rasterization"),
    "diff_gaussian_rasterization._C": Extension("diff-gaussian-rasterization", directory="submodules/diff-gaussian-rasterization"),
    "simple_knn": Extension("simple-knn", directory="submodules/simple-knn"),
    "simple_knn._C": Extension("simple-knn", directory="submodules/simple-knn"),
    "diff_surfel_rasterization": Extension("diff-surfel-rasterization", directory="submodules/diff-surfel-rasterization"),
    "fused_ssim": Extension("fused-ssim", directory="submodules/fused-ssim"),
    "fused_ssim_cuda": Extension("fused-ssim", directory="submodules/fused-ssim"),
    "flash_attn_2_cuda": Extension("flash-attn", "flash-attn"),
    "flash_attn_cuda": Extension("flash-attn", "flash-attn"),
    "flash_attn_3_cuda": Extension("FlashAttention 3", directory="hopper"),
    "flash_attn_interface": Extension("FlashAttention 3", directory="hopper"),
    "selective_scan_cuda": Extension("mamba-ssm", "mamba-ssm"),
    "selective_scan_cuda_core": Extension("VMamba's selective scan", directory="kernels/selective_scan"),
    "selective_scan_cuda_oflex": Extension("VMamba's selective scan", directory="kernels/selective_scan"),
    "causal_conv1d_cuda": Extension("causal-conv1d", "causal-conv1d"),
    "dropout_layer_norm": Extension("flash-attn's layer norm", directory="csrc/layer_norm"),
    "fused_dense_lib": Extension("flash-attn's fused dense", directory="csrc/fused_dense_lib"),
    "rotary_emb": Extension("flash-attn's rotary embedding", directory="csrc/rotary"),
    "xentropy_cuda_lib": Extension("flash-attn's cross entropy", directory="csrc/xentropy"),
    "amp_C": Extension("apex", directory="apex"),
    "apex_C": Extension("apex", directory="apex"),
    "fused_layer_norm_cuda": Extension("apex", directory="apex"),
    "fused_weight_gradient_mlp_cuda": Extension("apex", directory="apex"),
    "syncbn": Extension("apex", directory="apex"),
    "tinycudann": Extension("tiny-cuda-nn", directory="bindings/torch"),
    "tinycudann_bindings": Extension("tiny-cuda-nn", directory="bindings/torch"),
    "nvdiffrast": Extension("nvdiffrast"),
    "_nvdiffrast_c": Extension("nvdiffrast"),
    "pointnet2_ops": Extension("pointnet2_ops", directory="pointnet2_ops_lib"),
    "pointnet2_ops._ext": Extension("pointnet2_ops", directory="pointnet2_ops_lib"),
    "pointnet2._ext": Extension("pointnet2", directory="pointnet2"),
    "pointnet2_cuda": Extension("pointnet2", directory="pointnet2"),
    "pointnet2_batch_cuda": Extension("OpenPCDet"),
    "pointnet2_stack_cuda": Extension("OpenPCDet"),
    "iou3d_nms_cuda": Extension("OpenPCDet"),
    "roiaware_pool3d_cuda": Extension("OpenPCDet"),
    "pointops": Extension("pointops", directory="libs/pointops"),
    "pointops_cuda": Extension("pointops", directory="libs/pointops"),
    "chamfer": Extension("the Chamfer distance", directory="extensions/chamfer_dist"),
    "chamfer_3D": Extension("the Chamfer distance", directory="extensions/chamfer_dist"),
    "emd_cuda": Extension("the earth mover's distance", directory="extensions/emd"),
    "gridding": Extension("GRNet's gridding", directory="extensions/gridding"),
    "torch_scatter": Extension("torch-scatter", "torch-scatter"),
    "torch_scatter._scatter_cuda": Extension("torch-scatter", "torch-scatter"),
    "torch_sparse": Extension("torch-sparse", "torch-sparse"),
    "torch_cluster": Extension("torch-cluster", "torch-cluster"),
    "MinkowskiEngineBackend._C": Extension("MinkowskiEngine"),
    "torchsparse.backend": Extension("torchsparse"),
    "correlation_cuda": Extension("FlowNet2's correlation", directory="networks/correlation_package"),
    "resample2d_cuda": Extension("FlowNet2's resampling", directory="networks/resample2d_package"),
    "spatial_correlation_sampler_backend": Extension("spatial-correlation-sampler", "spatial-correlation-sampler"),
    "alt_cuda_corr": Extension("RAFT's alt_cuda_corr", directory="alt_cuda_corr"),
    "lietorch_backends": Extension("lietorch"),
    "droid_backends": Extension("DROID-SLAM"),
    "bev_pool_ext": Extension("mmdet3d's bev_pool"),
    "bev_pool_v2_ext": Extension("BEVDet's bev_pool_v2"),
    "voxel_layer": Extension("mmdet3d's voxel layer"),
    "natten": Extension("natten", "natten"),
    "natten._C": Extension("natten", "natten"),
    "libnatten": Extension("natten", "natten"),
    "vllm._C": Extension("vllm", "vllm"),
    "vllm._moe_C": Extension("vllm", "vllm"),
    "awq_ext": Extension("autoawq-kernels", "autoawq-kernels"),
    "awq_inference_engine": Extension("llm-awq", directory="awq/kernels"),
    "exllamav2_ext": Extension("exllamav2", "exllamav2"),
    "exllama_kernels": Extension("auto-gptq", "auto-gptq"),
    "autogptq_cuda_256": Extension("auto-gptq", "auto-gptq"),
    "quant_cuda": Extension("GPTQ's quant_cuda"),
    "_raymarching": Extension("torch-ngp's raymarching", directory="raymarching"),
    "_gridencoder": Extension("torch-ngp's grid encoder", directory="gridencoder"),
    "_freqencoder": Extension("torch-ngp's frequency encoder", directory="freqencoder"),
    "_shencoder": Extension("torch-ngp's harmonics encoder", directory="shencoder"),
    "upfirdn2d": Extension("stylegan2's upfirdn2d"),
    "custom_rasterizer": Extension("Hunyuan3D's rasterizer", directory="hy3dgen/texgen/custom_rasterizer"),
    "custom_rasterizer_kernel": Extension("Hunyuan3D's rasterizer", directory="hy3dgen/texgen/custom_rasterizer"),
    "nms_rotated_ext": Extension("the rotated NMS of the project"),
    "cython_bbox": Extension("cython-bbox", "cython-bbox"),
    "pycocotools._mask": Extension("pycocotools", "pycocotools"),
    "sam2._C": Extension("sam2"),
    "fused_kernels": Extension("Megatron's fused kernels"),
    "transformer_engine_torch": Extension("transformer-engine", "transformer-engine[pytorch]"),
    "xformers._C": Extension("xformers", "xformers"),
    "kaolin._C": Extension("kaolin"),
    "warp_ctc": Extension("warp-ctc", directory="pytorch_binding"),
    "vision._C": Extension("torchvision", "torchvision"),
}  # fmt: skip
#: Classes of an extension that a project imports inside of try, and that are then not defined.
_NAMES = {
    "DCNv3Function": "DCNv3",
    "MSDA": "MultiScaleDeformableAttention",
    "MultiScaleDeformableAttention": "MultiScaleDeformableAttention",
    "flash_attn_func": "flash_attn_2_cuda",
    "flash_attn_varlen_func": "flash_attn_2_cuda",
    "selective_scan_fn": "selective_scan_cuda",
    "causal_conv1d_fn": "causal_conv1d_cuda",
    "_backend": "_ext",
}
_COMPILED_NAME = re.compile(r"_C|_ext|_cuda|_cpu|\w+_ext|\w+_cuda|\w+_cuda_\w+|\w+_backends?|\w+_cpp|_\w+_cuda|core_cc|\w*_C\d?|\w+_kernels?")


def find(module: str, frame: str = "") -> Extension | None:
    """The extension that a module or name stands for; None where nothing shows that it is one.

    Args:
        module: "mmcv._ext", "_C", "MultiScaleDeformableAttention".
        frame: the file that imports or uses it.
    """
    module = module.strip(".")
    last = module.split(".")[-1]
    found = _KNOWN.get(module) or _KNOWN.get(_NAMES.get(last, ""))
    if found is not None and module not in ("_C",):
        return found
    tails = [known for name, known in _KNOWN.items() if "." in name and module.endswith(name.split(".", 1)[0] + "." + last) and name.endswith("." + last)]
    if tails:
        return tails[0]
    if not _COMPILED_NAME.fullmatch(last):
        return None
    by_file = [known for name, known in _KNOWN.items() if name.endswith("." + last) and f"/{name.split('.')[0]}/" in frame.lower()]
    if by_file:
        return by_file[0]
    maker = owner(frame)
    package = maker.name if maker.kind == "package" else ""
    project = package or (module.split(".")[0] if "." in module else "")
    return Extension(project, package)


def build(found: Extension, hit: Hit, frame: str) -> Iterator[Fix]:
    """How an extension is built, for the installed torch."""
    target = hit.context.target(hit.facts)
    installed = owner(frame).kind == "package"
    program = ("uv", "pip") if hit.context.uv else ("pip",)
    if found.project == "mmcv":
        yield fixes.pip("uninstall", "-y", "mmcv", "mmcv-lite", "mmcv-full")
        yield fixes.set_env("MMCV_WITH_OPS", "1")
    elif not target.windows:
        yield fixes.set_env("FORCE_CUDA", "1")
    if found.package and (installed or found.directory == "."):
        yield fixes.command(*program, "install", "--no-build-isolation", "--no-cache-dir", "--force-reinstall", "--no-deps", operands=(found.package,))
    elif installed:
        yield fixes.say(f"from a checkout of {found.project}:")
        yield fixes.command(*program, "install", "--no-build-isolation", "-e", ".")
    else:
        if found.directory != ".":
            yield fixes.say(f"in the directory of its setup.py, here {found.directory}:")
            yield fixes.command("cd", operands=(found.directory,))
        yield fixes.command(*program, "install", "--no-build-isolation", "-e" if found.directory == "." else "-v", ".")
    if found.replaced:
        yield fixes.say("or without compiling it: dcnbuild stands in for its operators:")
        yield fixes.command("python", "-m", "dcnbuild.compat", "YOUR_SCRIPT.py")
