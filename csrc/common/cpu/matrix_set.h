// The convolution's kernels for half types, for an instruction set that multiplies them; includes
// what instruction_set.h does, and needs the same macros. With units of two it also needs
// DCNBUILD_DOT (gemm.h).
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
// clang-format on

/// All kernels but `multiply`, with units of two.
template <typename Half>
constexpr MatrixKernels pair_kernels() {
  MatrixKernels k{};
  k.lanes = kLanes<float>;
  k.unit = k.depth_step = 2;
  k.row_step = 1;
  k.gather = gather_halves<Half>;
  k.differentiate = differentiate<Half, float, uint16_t>;
  k.pack = pack_pairs<Half>;
  k.copy = copy<uint16_t, uint16_t>;
  return k;
}

}  // namespace dcnbuild::cpu::DCNBUILD_ISA
