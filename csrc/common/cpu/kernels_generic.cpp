// The kernels for whatever the compiler targets without being told: SSE2 on x86-64, NEON on
// aarch64.
#include "common/cpu/kernel_table.h"

#define DCNBUILD_ISA generic
#define DCNBUILD_VECTOR_BYTES 16
#if defined(__aarch64__)
#define DCNBUILD_GEMM_ROWS 8
#else
#define DCNBUILD_GEMM_ROWS 6
#endif

#include "common/cpu/instruction_set.h"

namespace dcnbuild::cpu {
const KernelTable generic_table{"generic", generic::kernels<float>(), generic::kernels<double>()};
}
