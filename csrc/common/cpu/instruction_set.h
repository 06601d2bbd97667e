// The kernels of one instruction set. kernels_<name>.cpp selects the instruction set for the
// compiler, defines these macros, and then includes this file once:
//   DCNBUILD_ISA           its name, also a namespace, so that the linker cannot take a function
//                          of one instruction set for that of another;
//   DCNBUILD_VECTOR_BYTES  the width of its vectors;
//   DCNBUILD_GEMM_ROWS     the rows of a GEMM block, by two vectors, that its registers hold;
//   DCNBUILD_F16C          if it converts float16 on x86-64;
//   DCNBUILD_NEON          if it is NEON, whose instructions convert float16 and multiply by lanes;
//   DCNBUILD_NEON_BF16     if NEON also converts and multiplies bfloat16;
//   DCNBUILD_DOT           if it multiplies pairs of a half type (gemm.h).
// For the same reason, nothing in here calls a function template of the standard library.
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
// Only inlined functions pass vectors, so the warning about their ABI does not apply.
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

namespace dcnbuild::cpu::DCNBUILD_ISA {

// clang-format off: each file needs the files before it.
#include "common/cpu/vector.h"
#include "common/cpu/half.h"
#include "common/cpu/copy.h"
#include "common/cpu/gemm.h"
#include "common/cpu/locate.h"
#include "deform_conv2d/cpu/taps.h"
#include "deform_conv2d/cpu/gather.h"
#include "deform_conv2d/cpu/differentiate.h"
#include "deform_attn/cpu/points.h"
#include "deform_attn/cpu/attend.h"
#include "deform_attn/cpu/attend_backward.h"
#include "deform_attn/cpu/sum_corners.h"
// clang-format on

template <typename T>
constexpr Kernels<T> kernels() {
  Kernels<T> k{};
  k.lanes = kLanes<T>;
  k.gather = gather<T>;
  k.differentiate = differentiate<T, T, T>;
  k.multiply = multiply<T>;
  k.copy = copy<T, T>;
  k.read_points.same = read_points<T, T>;
  k.attend.same = attend<T, T>;
  k.attend_backward.same = attend_backward<T, T>;
  k.sum_corners.same = sum_corners<T, T>;
  if constexpr (sizeof(T) == 4) {
    k.read_points.half = read_points<HalfBits, T>;
    k.read_points.bfloat16 = read_points<BFloat16Bits, T>;
    k.attend.half = attend<HalfBits, T>;
    k.attend.bfloat16 = attend<BFloat16Bits, T>;
    k.attend_backward.half = attend_backward<HalfBits, T>;
    k.attend_backward.bfloat16 = attend_backward<BFloat16Bits, T>;
    k.sum_corners.half = sum_corners<HalfBits, T>;
    k.sum_corners.bfloat16 = sum_corners<BFloat16Bits, T>;
    k.from_half = copy<HalfBits, T>;
    k.from_bfloat16 = copy<BFloat16Bits, T>;
    k.to_half = copy<T, HalfBits>;
    k.to_bfloat16 = copy<T, BFloat16Bits>;
    k.split_bfloat16 = split_bfloat16;
    k.join_bfloat16 = join_bfloat16;
  }
  return k;
}

/// The convolution's kernels for a half type, with units of two.
template <typename Half>
constexpr MatrixKernels pair_kernels(void (*multiply)(const MatrixProduct&)) {
  MatrixKernels k{};
  k.lanes = kLanes<float>;
  k.unit = k.depth_step = 2;
  k.row_step = 1;
  k.gather = gather_halves<Half, Half, uint16_t>;
  k.gather_floats = gather_halves<Half, float, float>;
  k.differentiate = differentiate<Half, float, uint16_t>;
  k.pack = pack_pairs<Half>;
  k.multiply = multiply;
  k.copy = copy<uint16_t, uint16_t>;
  return k;
}

}  // namespace dcnbuild::cpu::DCNBUILD_ISA
