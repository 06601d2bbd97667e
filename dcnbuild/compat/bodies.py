"""Decides, without running it, whether a class of a repository's file may compute something else than ours of its name.

Forks keep a class's name and arguments, and change what it computes: they limit the offsets, add the input to the
output, return the offsets too, or work in one or three dimensions. Such a class must be executed as it is. The original
packages' classes use few calls, few layers and few operators in what `forward` runs; a class that uses any other may be
a fork. An original that is taken for a fork is executed too, with our functions, so a word that is missing in the
tables costs nothing but a module of ours.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

#: Methods whose work is over before `forward`, or that compute nothing.
_ASIDE = frozenset(
    {
        *("__init__", "__repr__", "extra_repr", "_load_from_state_dict", "_freeze", "_output_size"),
        *("reset_parameters", "_reset_parameters", "init_weights", "init_weight", "init_offset", "_init_weights"),
        *("freeze_sampling_offsets", "freeze_attention_weights", "symbolic"),
    }
)

#: Layers and parameters of the original classes.
_LAYERS = frozenset(
    {
        *("weight", "bias", "conv_offset", "conv_offset_mask", "offset_fc", "mask_fc", "offset_mask_fc", "offset_mask"),
        *("sampling_offsets", "attention_weights", "value_proj", "output_proj", "input_proj", "dropout", "norm"),
        *("dw_conv", "offset", "mask", "offset_mask_dw", "center_feature_scale_module", "activation"),
        *("center_feature_scale_proj_weight", "center_feature_scale_proj_bias", "func"),
        *("conv", "p_conv", "m_conv", "zero_padding"),
    }
)

#: What the original classes call while they run `forward`, by its last name.
_CALLS = frozenset(
    {
        # the operators
        *("dcn_v2_conv", "dcn_v2_pooling", "deform_conv", "modulated_deform_conv", "deform_roi_pooling", "apply"),
        *("deform_conv2d", "modulated_deform_conv2d", "deform_roi_pool", "deform_conv_function", "func"),
        *("multi_scale_deformable_attn_pytorch", "ms_deform_attn_core_pytorch", "multi_scale_deformable_attn"),
        *("_DCNv2", "_DCNv2Pooling", "_DeformConv", "_ModulatedDeformConv", "DCNv2Function", "DCNv2PoolingFunction"),
        *("DeformConvFunction", "ModulatedDeformConvFunction", "DeformRoIPoolingFunction", "dcnv3_core_pytorch"),
        *("MSDeformAttnFunction", "MultiScaleDeformableAttnFunction", "DCNv3Function", "DCNv4Function"),
        *("FlashDeformAttnFunction", "IS_CUDA_AVAILABLE", "is_available"),
        # shapes, dtypes and devices
        *("size", "dim", "numel", "view", "reshape", "permute", "transpose", "contiguous", "flatten", "unflatten"),
        *("split", "chunk", "cat", "stack", "concat", "unsqueeze", "squeeze", "expand", "repeat", "new", "new_empty"),
        *("new_zeros", "float", "half", "to", "type", "type_as", "double", "bool", "int", "max", "min", "sum", "pad"),
        *("sigmoid", "softmax", "masked_fill", "prod", "tuple", "list", "len", "range", "enumerate", "zip", "all"),
        # layers, and what says that something is wrong
        *_LAYERS,
        *("print", "warn", "warning", "info", "format", "isinstance", "getattr", "hasattr", "join", "super", "forward"),
        *("ValueError", "TypeError", "RuntimeError", "AssertionError", "NotImplementedError", "_pair", "_single"),
        *("is_in_onnx_export", "is_scripting", "is_autocast_enabled", "autocast", "no_grad", "checkpoint"),
    }
)

#: Operators that a convolution's `forward` uses for sizes only; the others' classes compute with operators.
_OF_SIZES = (ast.Sub, ast.FloorDiv, ast.Mod)
_CONVOLUTIONS = frozenset(
    {"DCN", "DCNv2", "DCN_sep", "DeformConv", "DeformConvPack", "ModulatedDeformConv", "ModulatedDeformConvPack"}
    | {"DeformConv2d", "DeformConv2dPack", "ModulatedDeformConv2d", "ModulatedDeformConv2dPack"}
)

#: A class that predicts offsets → the numbers that it predicts for each sample, a literal in its constructor.
_PREDICTED = {
    **dict.fromkeys(("MSDeformAttn", "MultiScaleDeformableAttention", "FlashDeformAttn"), 2),
    **dict.fromkeys(("DCN", "DCN_sep", "ModulatedDeformConvPack", "ModulatedDeformConv2dPack"), 3),
    **dict.fromkeys(("DeformConvPack", "DeformConv2dPack"), 2),
}
#: The layers whose width has that literal.
_PREDICTORS = frozenset({"sampling_offsets", "conv_offset", "conv_offset_mask"})

#: Options of `grid_sample` that the operators do not have.
_OTHER_SAMPLING = frozenset({"nearest", "bicubic", "border", "reflection"})


def may_differ(node: ast.ClassDef, known: frozenset[str] | set[str]) -> bool:
    """Whether the class may compute something else than the original of its name.

    Args:
        known: the public attributes of our class; a method or attribute that it lacks would be missed.
    """
    methods = {each.name: each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}
    held = {target.id for each in node.body if isinstance(each, ast.Assign) for target in each.targets
            if isinstance(target, ast.Name)}  # fmt: skip
    running = [method for name, method in methods.items() if name not in _ASIDE]
    if any(not name.startswith("_") and name not in known for name in (set(methods) | held) - _ASIDE):
        return True
    if not _layers(node) <= _LAYERS or _predicts_otherwise(node):
        return True
    numbers = _OF_SIZES if node.name in _CONVOLUTIONS else (ast.operator,)
    return any(_runs_more(method, numbers) for method in running)


def samples_otherwise(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a function samples in another way than the operators do, such as from the nearest pixel."""
    for each in ast.walk(node):
        if isinstance(each, ast.keyword) and each.arg == "align_corners":
            if not (isinstance(each.value, ast.Constant) and each.value.value is False):
                return True
        elif isinstance(each, ast.Constant) and each.value in _OTHER_SAMPLING:
            return True
    return False


def _runs_more(method: ast.FunctionDef | ast.AsyncFunctionDef, numbers: tuple[type[ast.operator], ...]) -> bool:
    for each in _without_checks(method):
        if isinstance(each, ast.Call) and _last_name(each.func) not in _CALLS:
            return True
        if isinstance(each, ast.BinOp | ast.AugAssign) and not isinstance(each.op, numbers):
            return True
        if isinstance(each, ast.Return) and isinstance(each.value, ast.Tuple):
            return True
    return samples_otherwise(method)


def _without_checks(node: ast.AST) -> Iterator[ast.AST]:
    """Yields what a method runs, except assertions, the tests of `if`, and what is raised."""
    test = node.test if isinstance(node, ast.If | ast.IfExp) else None
    for each in ast.iter_child_nodes(node):
        if each is not test and not isinstance(each, ast.Assert | ast.Raise):
            yield each
            yield from _without_checks(each)


def _layers(node: ast.ClassDef) -> set[str]:
    """The names that the class gives to layers, parameters and buffers."""
    found = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Assign) and _makes_layer(each.value):
            for target in each.targets:
                if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self":
                    found.add(target.attr)
        elif isinstance(each, ast.Call) and _last_name(each.func) in ("add_module", "register_buffer"):
            first = each.args[0] if each.args else None
            found.add(str(first.value) if isinstance(first, ast.Constant) else "")
    return found


def _makes_layer(value: ast.expr) -> bool:
    """Whether it is a call of something with a capital, directly or in a conditional: nn.Linear(…), Parameter(…)."""
    if isinstance(value, ast.IfExp):
        return _makes_layer(value.body) or _makes_layer(value.orelse)
    return isinstance(value, ast.Call) and _last_name(value.func)[:1].isupper()


def _predicts_otherwise(node: ast.ClassDef) -> bool:
    expected = _PREDICTED.get(node.name)
    constructor = next((m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"), None)
    if expected is None or constructor is None or not _layers(node) & _PREDICTORS:
        return False
    literals = set()
    for each in ast.walk(constructor):
        if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Mult):
            literals |= {side.value for side in (each.left, each.right) if isinstance(side, ast.Constant)}
    return expected not in literals


def _last_name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
