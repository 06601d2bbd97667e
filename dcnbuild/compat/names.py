"""The import names of old packages, each with its module of dcnbuild.compat: data only."""

from __future__ import annotations

#: old import name → the module of dcnbuild.compat. An unlisted dotted name is looked up by its last parts, so that a
#: copy inside a repository is found too: lib.models.DCNv2.dcn_v2, basicsr.ops.dcn.deform_conv.
MODULES = {
    # CharlesShang/DCNv2 and its forks
    "dcn_v2": "dcn_v2",
    "DCNv2": "dcn_v2",
    "DCNv2.dcn_v2": "dcn_v2",
    "dcn_v2_ext": "dcn_v2_ext",
    "dcn_v2_cuda": "dcn_v2_ext",
    "_ext": "dcn_v2_ext",
    "_backend": "dcn_v2_ext",
    # their extensions for torch 0.4, which torch.utils.ffi made
    "_ext.dcn_v2": "dcn_v2_cffi_ext",
    "_ext.modulated_dcn": "dcn_v2_cffi_ext",
    # tteepe/DCNv2: mmcv's module under DCNv2's names; DCN is chengdazhi's extension for torch 1, too
    "DCN": "dcn_ext",
    "DCN.dcn_v2": "modulated_deform_conv",
    "modulated_deform_conv": "modulated_deform_conv",
    # mmdetection 1.x and copies of its ops/dcn: BasicSR, EDVR, SOLO, TTFNet, AlphaPose, DB, maskrcnn_benchmark, …
    "dcn": "mmdet",
    "dcn.deform_conv": "mmdet",
    "dcn.modules.deform_conv": "mmdet",
    "dcn.functions.deform_conv": "mmdet",
    "dcn.deform_conv_module": "mmdet",
    "dcn.deform_conv_func": "mmdet",
    "dcn.deform_pool": "mmdet",
    "dcn.modules.deform_pool": "mmdet",
    "dcn.functions.deform_pool": "mmdet",
    "dcn.deform_pool_module": "mmdet",
    "dcn.deform_pool_func": "mmdet",
    "deform_conv_cuda": "deform_conv_ext",
    "deform_conv_ext": "deform_conv_ext",
    "deform_pool_cuda": "deform_pool_ext",
    "deform_pool_ext": "deform_pool_ext",
    "deform_unfold_cuda": "deform_unfold_ext",  # DGMN
    # CHONSPQX/modulated-deform-conv, whose module has the name of tteepe's
    "MDCONV_CUDA": "mdconv_ext",
    # Attention of models for bird's-eye views: Sparse4D, SparseDrive; MapTR
    "deformable_aggregation_ext": "deformable_aggregation_ext",
    "GeometricKernelAttention": "geometric_kernel_attn_ext",
    # mmcv, detectron2 and maskrcnn_benchmark, whose extensions have more than the deformable operators
    "mmcv.ops": "mmcv",
    "mmcv.ops.deform_conv": "mmcv",
    "mmcv.ops.modulated_deform_conv": "mmcv",
    "mmcv.ops.deform_roi_pool": "mmcv",
    "mmcv._ext": "larger_ext",
    "detectron2._C": "larger_ext",
    "detectron2.layers.deform_conv": "detectron2",
    "maskrcnn_benchmark._C": "larger_ext",
    "_C": "larger_ext",  # of packages that are built like them: cvpods._C, dl_lib._C
    # Deformable-DETR's attention and its copies: DINO, Mask2Former, MaskDINO, GroundingDINO, detrex, X-Pose,
    # ViT-Adapter, …
    "MultiScaleDeformableAttention": "ms_deform_attn_ext",
    "ms_deform_attn": "ms_deform_attn",
    "ms_deform_attn_func": "ms_deform_attn",
    "multi_scale_deform_attn": "ms_deform_attn",
    "mmcv.ops.multi_scale_deform_attn": "mmcv",
    "groundingdino._C": "larger_ext",
    "detrex._C": "larger_ext",
    # InternImage's DCNv3, whose extension has that name, and the package DCNv4
    "DCNv3": "dcnv3_ext",
    "ops_dcnv3": "dcnv3",
    "ops_dcnv3.modules": "dcnv3",
    "ops_dcnv3.modules.dcnv3": "dcnv3",
    "ops_dcnv3.functions": "dcnv3",
    "ops_dcnv3.functions.dcnv3_func": "dcnv3",
    "DCNv4": "dcnv4",
    "DCNv4.ext": "dcnv4_ext",
    "DCNv4.modules": "dcnv4",
    "DCNv4.modules.dcnv4": "dcnv4",
    "DCNv4.modules.flash_deform_attn": "dcnv4",
    "DCNv4.functions": "dcnv4",
    "DCNv4.functions.dcnv4_func": "dcnv4",
    "DCNv4.functions.flash_deform_attn_func": "dcnv4",
    # 4uiiurz1/pytorch-deform-conv-v2, which needs no extension
    "deform_conv_v2": "deform_conv_v2",
}

#: Names that other packages may use too, or that belong to a larger package: installed only on request. `install()` and
#: `python -m dcnbuild.compat` install the others.
ON_REQUEST = frozenset(name for name in MODULES if name.startswith(("mmcv.", "detectron2.", "maskrcnn_benchmark."))) | {
    *("DCNv2", "_ext", "_ext.dcn_v2", "_ext.modulated_dcn", "_backend", "DCN", "DCN.dcn_v2", "_C"),
    *("dcn", "deform_conv_v2"),
}

DEFAULT_NAMES = tuple(name for name in MODULES if name not in ON_REQUEST)

#: Raw extensions that a repository's own file may import while it is executed instead of our module.
EXTENSIONS = frozenset(
    name
    for name, module in MODULES.items()
    if module.endswith("_ext") and ("." not in name or name.startswith("_ext."))
)

#: The last parts of the names of all extensions, those of larger packages included.
EXTENSION_TAILS = frozenset(name.rpartition(".")[2] for name, module in MODULES.items() if module.endswith("_ext"))

#: Packages whose modules are never treated as a copy; `install` replaces them only by their full names.
THEIR_OWN = frozenset({"dcnbuild", "detectron2", "mmcv", "torch", "torchvision"})


def lookup(name: str) -> str | None:
    """Returns the full name of our module for an old import name, or for a dotted name that ends in one; else None."""
    parts = name.split(".")
    for start in range(len(parts)):
        module = MODULES.get(".".join(parts[start:]))
        if module is not None:
            return f"dcnbuild.compat.{module}"
    return None


def ends_in(name: str, end: str) -> bool:
    """Whether a dotted name is `end`, or ends in it after a dot."""
    return name == end or name.endswith(f".{end}")


#: Old class or function → the module of dcnbuild.compat that has it, for people who look for it in dcnbuild itself.
CLASSES = {
    **dict.fromkeys(("DCNv2", "DCNPooling", "DCNv2Pooling", "dcn_v2_conv", "dcn_v2_pooling"), "dcn_v2"),
    **dict.fromkeys(
        ("DeformConv2dPack", "ModulatedDeformConv2d", "ModulatedDeformConv2dPack", "modulated_deform_conv2d"), "mmcv"
    ),
    **dict.fromkeys(("DeformRoIPool", "DeformRoIPoolPack", "ModulatedDeformRoIPoolPack"), "mmcv"),
    **dict.fromkeys(("DeformConv", "DeformConvPack", "ModulatedDeformConv", "ModulatedDeformConvPack"), "mmdet"),
    **dict.fromkeys(("deform_conv", "modulated_deform_conv", "DeformRoIPooling"), "mmdet"),
    **dict.fromkeys(("MSDeformAttn", "MSDeformAttnFunction", "MultiScaleDeformableAttention"), "ms_deform_attn"),
    **dict.fromkeys(("DCNv3Function", "DCNv3_pytorch", "dcnv3_core_pytorch"), "dcnv3"),
    **dict.fromkeys(("DCNv4Function", "FlashDeformAttn", "FlashDeformAttnFunction"), "dcnv4"),
}
