// The convolution's kernels for half types with AVX512-BF16; AMX uses all but the product.
#include "common/cpu/matrix_levels.h"

#ifdef DCNBUILD_HAS_AVX512BF16
// The rest of the file is for this target.
#include "common/cpu/target_avx512bf16.h"

#define DCNBUILD_ISA avx512bf16
#define DCNBUILD_VECTOR_BYTES 64
#define DCNBUILD_GEMM_ROWS 12
#define DCNBUILD_F16C
#define DCNBUILD_AVX512BF16
#define DCNBUILD_DOT(sums, pair, pairs)                                                         \
  bits_as<Vector<float>>(_mm512_dpbf16_ps(sums, bits_as<__m512bh>(Vector<uint32_t>{} + (pair)), \
                                          bits_as<__m512bh>(pairs)))

#include "common/cpu/matrix_set.h"

namespace dcnbuild::cpu {
namespace avx512bf16 {

constexpr MatrixKernels bfloat16_kernels() {
  MatrixKernels k = pair_kernels<BFloat16Bits>();
  k.multiply = multiply_pairs;
  return k;
}

}  // namespace avx512bf16

const MatrixKernels avx512bf16_bfloat16 = avx512bf16::bfloat16_kernels();
const MatrixKernels avx512bf16_half = avx512bf16::pair_kernels<avx512bf16::HalfBits>();

}  // namespace dcnbuild::cpu

DCNBUILD_TARGET_END
#endif
