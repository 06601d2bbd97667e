// The kernels for NEON with bfloat16 (FEAT_BF16: Armv8.6, and many CPUs from Armv8.2 on), which
// multiply pairs by bfdot.
#if defined(__aarch64__)
#include "common/cpu/kernel_table.h"
#include "common/cpu/target.h"

#if defined(DCNBUILD_HAS_NEON_BF16)
DCNBUILD_TARGET("arch=armv8.2-a+bf16")

#define DCNBUILD_ISA neon_bf16
#define DCNBUILD_VECTOR_BYTES 16
#define DCNBUILD_GEMM_ROWS 8
#define DCNBUILD_NEON
#define DCNBUILD_NEON_BF16
#define DCNBUILD_DOT(sums, pair, pairs)                                  \
  vbfdotq_f32(sums, vreinterpretq_bf16_u32(Vector<uint32_t>{} + (pair)), \
              vreinterpretq_bf16_u32(pairs))

#include "common/cpu/instruction_set.h"
#include "common/cpu/neon_table.h"

namespace dcnbuild::cpu {
namespace neon_bf16 {
constexpr MatrixKernels kBFloat16 = pair_kernels<BFloat16Bits>(multiply_pairs_by_lanes);
}

const KernelTable neon_bf16_table = neon_bf16::table("neon_bf16", &neon_bf16::kBFloat16);
}  // namespace dcnbuild::cpu

DCNBUILD_TARGET_END
#endif
#endif
