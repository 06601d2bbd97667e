// The kernels for AVX2 with FMA and F16C.
#if defined(__x86_64__)
#include "common/cpu/kernel_table.h"
#include "common/cpu/target.h"

DCNBUILD_TARGET("avx2,fma,f16c")

#define DCNBUILD_ISA avx2
#define DCNBUILD_VECTOR_BYTES 32
#define DCNBUILD_GEMM_ROWS 6
#define DCNBUILD_F16C

#include "common/cpu/instruction_set.h"

namespace dcnbuild::cpu {
const KernelTable avx2_table{"avx2", avx2::kernels<float>(), avx2::kernels<double>()};
}

DCNBUILD_TARGET_END
#endif
