// The convolution's kernels for half types with AVX512-BF16; AMX uses all but the product.
#include "common/cpu/matrix_levels.h"

#ifdef DCNBUILD_HAS_AVX512BF16
#include "common/cpu/target.h"

DCNBUILD_TARGET("avx512bf16,avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,f16c")

#define DCNBUILD_ISA avx512bf16
#define DCNBUILD_VECTOR_BYTES 64
#define DCNBUILD_GEMM_ROWS 12
#define DCNBUILD_F16C
#define DCNBUILD_AVX512BF16
#define DCNBUILD_DOT(sums, pair, pairs)                                                         \
  bits_as<Vector<float>>(_mm512_dpbf16_ps(sums, bits_as<__m512bh>(Vector<uint32_t>{} + (pair)), \
                                          bits_as<__m512bh>(pairs)))

#include "common/cpu/instruction_set.h"

namespace dcnbuild::cpu {
const MatrixKernels avx512bf16_bfloat16 =
    avx512bf16::pair_kernels<avx512bf16::BFloat16Bits>(avx512bf16::multiply_pairs);
const MatrixKernels avx512bf16_half = avx512bf16::pair_kernels<avx512bf16::HalfBits>(nullptr);

}  // namespace dcnbuild::cpu

DCNBUILD_TARGET_END
#endif
