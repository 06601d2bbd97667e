// The instruction sets that multiply half types, where the compiler knows AVX512-BF16; a library
// made by an older compiler goes on with AVX-512. AMX's products need no compiler that knows them
// (tile_instructions.h), but the other kernels of AVX512-BF16. No torch header.
#pragma once

#include "common/cpu/kernel_table.h"

#if defined(__x86_64__)
#if defined(__clang__)
#if __clang_major__ >= 9
#define DCNBUILD_HAS_AVX512BF16
#endif
#elif defined(__GNUC__) && __GNUC__ >= 10
#define DCNBUILD_HAS_AVX512BF16
#endif
#endif

namespace dcnbuild::cpu {

#ifdef DCNBUILD_HAS_AVX512BF16
/// AVX512-BF16 multiplies bfloat16 by vdpbf16ps. The products of AVX512-FP16 are summed in float16,
/// so float16 has all kernels but `multiply` here.
extern const MatrixKernels avx512bf16_bfloat16, avx512bf16_half;
/// AMX's products; `row_step` and `depth_step` of those above become a tile's.
constexpr int64_t kAmxRows = 16, kAmxDepth = 32;
void multiply_amx_bfloat16(const MatrixProduct& product);
void multiply_amx_half(const MatrixProduct& product);
#endif

}  // namespace dcnbuild::cpu
