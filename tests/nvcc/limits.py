"""The limits of every compiled kernel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nvcc.kernel import Kernel

from dcnbuild.base.versions import numbers

#: All that kernels.cu instantiates.
KERNELS = frozenset(
    {
        *("gather_columns_kernel", "column_gradients_kernel", "corner_keys_kernel"),
        *("sum_tiles_kernel", "join_tiles_kernel", "copy_layout_kernel", "accumulate_kernel"),
        *("attn_kernel", "attn_gradients_kernel", "attn_keys_kernel"),
        *("pool_kernel", "pool_input_gradient_kernel", "pool_input_gradient_in_order_kernel"),
        "pool_offset_gradient_kernel",
    }
)
#: Those that load vectors of channels.
VECTOR_KERNELS = (
    *("gather_columns_kernel", "column_gradients_kernel", "sum_tiles_kernel"),
    *("attn_kernel", "attn_gradients_kernel"),
)
#: Of these, those that store no vectors: sums of single channels, or gradients of locations.
NO_VECTOR_STORES = ("sum_tiles_kernel", "attn_gradients_kernel")
#: Those that add to a gradient in memory.
ADDING_KERNELS = ("column_gradients_kernel", "attn_gradients_kernel")
LEAST_OCCUPANCY = 0.5
#: Those that take more registers in float64 (kPoolBlocksPerSM of csrc/deform_pool/cuda/place.cuh).
LEAST_OCCUPANCY_OF_DOUBLE = {
    "pool_input_gradient_in_order_kernel": 0.25,
    "pool_offset_gradient_kernel": 0.25,
}
#: Bytes that a kernel may spill where a toolkit of this major compiles it: CUDA 11.8's ptxas does, on sm_80 and sm_90.
SPILLS = {("pool_offset_gradient_kernel", 11): 24}
#: What the two kernels that do the work load at least in vectors: the corners of a sample.
CORNERS = 4
#: The compute capability and the oldest CUDA that add four floats to memory at once (csrc/common/cuda/launch.cuh).
FOUR_AT_ONCE = (90, (12, 1))


def violations(kernels: Sequence[Kernel], toolkit: str) -> list[str]:
    """The limits that the kernels of one architecture break, in words; `toolkit` compiled them, such as "13.0"."""
    found = [text for kernel in kernels for text in _violations(kernel, toolkit)]
    base_names = {kernel.base_name for kernel in kernels}
    found += [f"{name} was not compiled" for name in sorted(KERNELS - base_names)]
    vectors = {kernel.base_name for kernel in kernels if kernel.loads_vectors}
    return found + [f"{name} has no vector version" for name in VECTOR_KERNELS if name not in vectors]


def _violations(kernel: Kernel, toolkit: str) -> Iterator[str]:
    spills = SPILLS.get((kernel.base_name, numbers(toolkit)[0]), 0)
    if kernel.spills > spills or kernel.stack > spills:
        yield f"{kernel.name} spills {kernel.spills} bytes and has a stack of {kernel.stack}"
    double = kernel.arguments[0] == "double"
    exceptions = LEAST_OCCUPANCY_OF_DOUBLE if double else {}
    least = exceptions.get(kernel.base_name, LEAST_OCCUPANCY)
    occupancy = kernel.occupancy()
    if occupancy is not None and occupancy < least:
        yield f"{kernel.name} can fill only {occupancy:.0%} of a multiprocessor"
    if not spills and kernel.count("LDL", "STL"):
        yield f"{kernel.name} uses local memory"
    if not kernel.loads_vectors:
        return
    walks = kernel.base_name != "sum_tiles_kernel"
    if kernel.count("LDG.E.128") < (CORNERS if walks else 1):
        yield f"{kernel.name} does not load 16 bytes at once"
    stores = kernel.base_name not in NO_VECTOR_STORES
    if stores and not kernel.count("STG.E.128"):
        yield f"{kernel.name} does not store 16 bytes at once"
    if kernel.base_name in ADDING_KERNELS and not double:
        wide = any("F32x4" in name for name in kernel.atomics())
        capability, cuda = FOUR_AT_ONCE
        if wide != (kernel.compute_capability >= capability and numbers(toolkit)[:2] >= cuda):
            yield f"{kernel.name} adds to memory {'four floats' if wide else 'one float'} at once"
