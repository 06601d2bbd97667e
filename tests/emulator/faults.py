"""The faults that mutate.py seeds into the kernels, each with the check that must notice it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """In `file` (below csrc/), `old` becomes `new`.

    Attributes:
        old: a whole expression, or whole statements, which end in ";". It stands once in the file, or else once in
            `within`.
        new: the same; empty statements are none.
        check: an expression for pytest's -k, which chooses tests of this directory; or THREAD or ADDRESS.
        within: a text that stands once in the file.
    """

    name: str
    file: str
    old: str
    new: str
    check: str
    within: str = ""


#: Included before everything else.
AWAKE = """#pragma once
#include <cstdlib>
inline const int dcnbuild_fault = std::getenv("DCNBUILD_FAULT") ? std::atoi(std::getenv("DCNBUILD_FAULT")) : 0;
"""


def seeded(text: str, fault: Fault, number: int) -> str:
    """The text of a source with one fault in it. Raises ValueError if it has no such place, or several."""
    place = fault.within or fault.old
    if text.count(place) != 1 or place.count(fault.old) != 1:
        raise ValueError(f"{fault.name}: csrc/{fault.file} has {text.count(place)} times {place!r}")
    if fault.old.endswith(";"):
        either = f"{{ if (dcnbuild_fault == {number}) {{ {fault.new} }} else {{ {fault.old} }} }}"
    else:
        either = f"(dcnbuild_fault == {number} ? ({fault.new}) : ({fault.old}))"
    return text.replace(place, place.replace(fault.old, either))


#: race_check.cpp with ThreadSanitizer, and with AddressSanitizer and UndefinedBehaviorSanitizer.
THREAD, ADDRESS = "thread", "address"
RANDOM = "test_operator and test_random_configurations and float64 and 0]"
POOLS = "test_pool and test_random_configurations and 0-"
ATTENTION = "test_attn and test_random_configurations and float64 and 0]"
WINDOW = "test_sample and test_random_configurations and float64 and 0]"
CHUNKS = "test_every_chunk_size_agrees"
ORDER = "test_same_bits_in_every_order"
#: Of tests/nvrtc, whose host half is compiled only where a check names it.
DRIVER = "test_driver"
DRIVEN = f"{DRIVER} and test_agreement and deform_conv2d and float32-torch.float32"

FAULTS = (
    Fault(
        "barrier after the shared taps dropped",
        *("deform_conv2d/cuda/chunk.cuh", "__syncthreads();", "", RANDOM),
    ),
    Fault(
        "barrier before the offset gradients dropped",
        *("deform_conv2d/cuda/columns.cuh", "__syncthreads();", "", RANDOM),
    ),
    Fault(
        "barrier of the layout copy dropped",
        *("deform_conv2d/cuda/layout.cuh", "__syncthreads();", "", RANDOM),
    ),
    Fault(
        "atomic addition made plain",
        *(
            "common/cuda/launch.cuh",
            "atomic_add(to + j, values[j]);",
            "to[j] += values[j];",
            THREAD,
        ),
    ),
    Fault(
        "atomic addition of vectors made plain",
        "common/cuda/launch.cuh",
        "atomicAdd(reinterpret_cast<float4*>(to),\n"
        "              make_float4(values[0], values[1], values[2], values[3]));",
        "for (int j = 0; j < 4; ++j) to[j] += values[j];",
        THREAD,
    ),
    Fault(
        "two tiles write one pixel",
        *("common/cuda/sorted_scatter.cuh", "corners.continues(begin)", "false", THREAD),
        within="bool earlier = corners.continues(begin);",
    ),
    Fault(
        "padding_w for padding_h",
        "deform_conv2d/cuda/chunk.cuh",
        "at.out_y * s.stride_h - s.padding_h + tap_y * s.dilation_h",
        "at.out_y * s.stride_h - s.padding_w + tap_y * s.dilation_h",
        RANDOM,
    ),
    Fault(
        "one position too many",
        *(
            "deform_conv2d/cuda/chunk.cuh",
            "at.position < chunk.count",
            "at.position <= chunk.count",
            ADDRESS,
        ),
    ),
    Fault(
        "bilinear weights turned round",
        *("common/sampling.h", "(corner & 1) ? lx : hx()", "(corner & 1) ? hx() : lx", RANDOM),
    ),
    Fault(
        "truncation for floor",
        "common/sampling.h",
        "if (acc_t(y0) > y) --y0;",
        "",
        RANDOM,
    ),
    Fault(
        "mask ignored in the columns",
        *(
            "common/cuda/corners.cuh",
            "sample.weight(which) * tap.mask",
            "sample.weight(which)",
            RANDOM,
        ),
    ),
    Fault(
        "mask ignored in the gradient of the offset",
        "deform_conv2d/cuda/columns.cuh",
        "value_dx(sample, mask, dot[0], dot[1], dot[2], dot[3])",
        "value_dx(sample, acc_t(1), dot[0], dot[1], dot[2], dot[3])",
        RANDOM,
    ),
    Fault(
        "x read for y",
        *("deform_conv2d/cuda/chunk.cuh", "offset[0]", "offset[chunk.offset.c]", RANDOM),
    ),
    Fault(
        "index in 32 bits",
        "deform_conv2d/cuda/chunk.cuh",
        "view.data + at.image * view.n + channel * view.c",
        "view.data + at.image * view.n + int(channel * view.c)",
        "test_far_elements and offset",
    ),
    Fault(
        "pixel of a large image in 32 bits",
        "common/cuda/corners.cuh",
        "image + int64_t(at.corner[which]) * pixel",
        "image + int(unsigned(at.corner[which]) * unsigned(pixel))",
        "test_gradient_of_a_large_image",
    ),
    Fault(
        "NaN passes for inside",
        "common/sampling.h",
        "y > acc_t(-1) && y < limit",
        "!(y <= acc_t(-1)) && !(y >= limit)",
        "nan or outside",
    ),
    Fault(
        "exactly -1 taken for inside",
        *("common/sampling.h", "x > acc_t(-1)", "x >= acc_t(-1)", "test_outside_is_zero"),
    ),
    Fault(
        "a sample outside passes on what is not finite",
        *("deform_conv2d/cuda/columns.cuh", "sample.outside()", "false", "test_not_finite"),
    ),
    Fault(
        "position compared with a rounded side",
        *("common/sampling.h", "x0 >= width", "x >= acc_t(width)", "test_beyond_2_24"),
    ),
    Fault(
        "pooling: the last pixel of a wide image not clamped",
        "deform_pool/geometry.h",
        *(
            "side.low = last, side.l = acc_t(0);",
            "side.l = acc_t(0);",
            "test_pool and test_beyond_2_24",
        ),
    ),
    Fault(
        "the chunk's begin ignored",
        "deform_conv2d/cuda/chunk.cuh",
        *("unsigned(chunk.begin) + unsigned(position)", "unsigned(position)", CHUNKS),
    ),
    Fault(
        "every image read from the first",
        "deform_conv2d/cuda/columns.cuh",
        "chunk.image + tap.image * chunk.image_stride + channel",
        "chunk.image + channel",
        CHUNKS,
    ),
    Fault(
        "image gradient not cleared between passes",
        "deform_conv2d/cuda/buffers.h",
        *("fill_zero(buffer_->tensor(*tensor_));", "if (first == 0) fill_zero(buffer_->tensor(*tensor_));", CHUNKS),
    ),
    Fault(
        "a long run joined from one tile only",
        "common/cuda/sorted_scatter.cuh",
        "tile < tiles && corners.keys[tile * kTileEntries] == corners.keys[begin]",
        "tile < at.tile + 1",
        "test_all_samples_on_one_pixel",
    ),
    Fault(
        "a product into rows that are not aligned",
        "deform_conv2d/cuda/buffers.h",
        *("rows_aligned<T>(std::max(*direct, map_.c))", "true", "test_the_rows_of_a_product"),
    ),
    Fault(
        "a 16-bit key for one cell too many",
        "common/cuda/scatter_in_order.h",
        *("cells <= kNarrowCells", "cells <= kNarrowCells + 1", "test_the_last_cell"),
    ),
    Fault(
        "gradient of the weight added to what nobody wrote",
        *("deform_conv2d/cuda/deform_conv2d.cu", "!first", "true", CHUNKS),
    ),
    Fault(
        "gradient of half weights of the last chunk only",
        *("deform_conv2d/cuda/deform_conv2d.cu", "first", "true", "test_half_weight_gradients"),
        within="if (first) return",
    ),
    Fault(
        "vectors of channels that do not divide",
        *("common/cuda/launch.cuh", "(multiples % kVectorWidth<T> == 0) && ...", "true", RANDOM),
    ),
    Fault(
        "atomics on the deterministic route",
        *("deform_conv2d/cuda/deform_conv2d.cu", "deterministic", "false", ORDER),
        within="g, t, grad_output, grads, deterministic, static_cast",
    ),
    Fault(
        "last step of the reduction left out",
        *("common/cuda/corners.cuh", "step > 0", "step > 1", RANDOM),
    ),
    Fault(
        "empty grid launched",
        *("common/cuda/launch.cuh", "if (blocks == 0) return cudaSuccess;", "", "empty"),
    ),
    Fault(
        "launch error dropped",
        "deform_conv2d/cuda/deform_conv2d.cu",
        "DCNBUILD_CUDA_CHECK(gather_columns(chunk, column, stream));",
        "(void)gather_columns(chunk, column, stream);",
        "test_every_launch_that_fails_raises",
        within="DCNBUILD_CUDA_CHECK(gather_columns(chunk, column, stream));\n      if (bias",
    ),
    Fault(
        "gradient of the weight of the last chunk only",
        *("deform_conv2d/cuda/deform_conv2d.cu", "!first", "false", CHUNKS),
    ),
    Fault(
        "pooling: atomic addition made plain",
        "deform_pool/cuda/input_gradient.cuh",
        *("atomic_add(plane + pixel, value);", "plane[pixel] += value;", THREAD),
    ),
    Fault(
        "pooling: barriers of the reduction dropped",
        *("deform_pool/cuda/offset_gradient.cuh", "__syncthreads();", "", POOLS),
    ),
    Fault(
        "attention: warp not waited for before the samples are read",
        *("deform_attn/cuda/samples.cuh", "__syncwarp();", "", ATTENTION),
    ),
    Fault(
        "attention: samples replaced while they are read",
        *("deform_attn/cuda/kernels.cuh", "__syncwarp();", "", ATTENTION),
        within="__syncwarp();  // before the next samples take the place of these\n  }\n  if (has_channel)",
    ),
    Fault(
        "attention: x and y of a location exchanged",
        "deform_attn/cuda/samples.cuh",
        *("location[0]", "location[call.locations.axis]", ATTENTION),
    ),
    Fault(
        "attention: every level read from the first pixel",
        *("deform_attn/cuda/samples.cuh", "found.level.start", "0", ATTENTION),
        within="shared[lane].set(found.tap, found.level.start,",
    ),
    Fault(
        "attention: gradient by a pixel for one by a location",
        *("deform_attn/cuda/kernels.cuh", "dx * found.scale_x", "dx", ATTENTION),
    ),
    Fault(
        "window: places one pixel apart whatever the stride",
        *("deform_attn/geometry.h", "first + out * stride", "first + out", WINDOW),
    ),
    Fault(
        "attention: a sample outside passes on what is not finite",
        *("deform_attn/cuda/kernels.cuh", "sample.outside()", "false"),
        "test_what_lies_outside_passes_nothing_on",
    ),
    Fault(
        "attention: the second slice of the channels left out",
        *("deform_attn/cuda/kernels.cuh", "at.slice * lanes + lane", "lane"),
        "test_every_number_of_channels",
    ),
    Fault(
        "attention: a chunk that begins inside a query begins with it",
        *("deform_attn/cuda/value_scatter.cuh", "chunk.before + index", "index", ATTENTION),
    ),
    Fault(
        "attention: atomics on the deterministic route",
        *("deform_attn/cuda/deform_attn.cu", "deterministic", "false"),
        "test_attn_routes and test_the_deterministic_route_has_the_same_bits",
        within="g, t, grad_output, grads, deterministic, static_cast",
    ),
    Fault(
        "attention: sums of half values not cleared between passes",
        "deform_attn/cuda/deform_attn.cu",
        *("fill_zero(buffer_->tensor(*grad_));", "if (first == 0) fill_zero(buffer_->tensor(*grad_));"),
        "test_attn and test_random_configurations and bfloat16-torch.bfloat16-0",
    ),
    Fault(
        "attention: launch error dropped",
        "deform_attn/cuda/deform_attn.cu",
        "DCNBUILD_CUDA_CHECK(attn_gradients(call, grad, to, stream));",
        "(void)attn_gradients(call, grad, to, stream);",
        "test_attn_routes and test_every_failing_launch_raises",
    ),
    Fault(
        "attention: value's images far apart read in 32 bits",
        "deform_attn/cuda/kernels.cuh",
        *(
            "at.image * value.n",
            "int(at.image * value.n)",
            "test_attn_routes and test_far_elements",
        ),
    ),
    Fault(
        "pooling: divided by samples outside the image too",
        "deform_pool/geometry.h",
        "geometry_.position_sensitive ? acc_t(counted_) : bin_.samples",
        "bin_.samples",
        POOLS,
    ),
    Fault(
        "pooling: offsets of x and y exchanged",
        "deform_pool/cuda/place.cuh",
        "offset_x = static_cast<acc_t>(at[0]), offset_y = static_cast<acc_t>(at[call.offset.c]);",
        "offset_y = static_cast<acc_t>(at[0]), offset_x = static_cast<acc_t>(at[call.offset.c]);",
        POOLS,
    ),
    Fault(
        "nvrtc: two arguments exchanged",
        "common/nvrtc/kernel.h",
        "pointers",
        "(std::swap(pointers[0], pointers[sizeof...(value) - 1]), pointers)",
        DRIVEN,
        within="stream, pointers, sizes",
    ),
    Fault(
        "nvrtc: the last block left out",
        *("common/nvrtc/driver.cpp", "blocks", "blocks > 1 ? blocks - 1 : blocks", DRIVEN),
        within="function, blocks, 1, 1",
    ),
    Fault(
        "nvrtc: the stream forgotten",
        *("common/nvrtc/driver.cpp", "stream", "nullptr", DRIVEN),
        within="0, stream, arguments",
    ),
    Fault(
        "nvrtc: a kernel that another context has loaded",
        *("common/nvrtc/driver.cpp", "in == context", "true"),
        f"{DRIVER} and test_every_context_loads_its_own",
    ),
    Fault(
        "nvrtc: a thread left in another capture mode",
        "common/nvrtc/driver.cpp",
        *("cu_.cuThreadExchangeStreamCaptureMode(&mode_);", ";"),
        f"{DRIVER} and test_a_first_launch_inside_a_capture",
        within="~RelaxedCapture() { cu_.cuThreadExchangeStreamCaptureMode(&mode_); }",
    ),
    Fault(
        "nvrtc: the context of another GPU used",
        *("common/nvrtc/driver.cpp", "current == ours", "true"),
        f"{DRIVER} and test_the_context_of_another_gpu_is_not_used",
    ),
    Fault(
        "nvrtc: a stale image launched",
        *("common/nvrtc/driver.cpp", "size != sizes[there]", "false"),
        f"{DRIVER} and test_a_kernel_of_other_parameters_is_refused and accumulate",
    ),
    Fault(
        "nvrtc: launch error dropped",
        *("common/nvrtc/driver.cpp", "error == kSuccess", "true"),
        f"{DRIVER} and test_every_launch_that_fails_raises and False",
        within="return error == kSuccess || failed(*cu",
    ),
)
