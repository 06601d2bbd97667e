// The kernels for whatever the compiler targets without being told: SSE2 on x86-64, NEON on
// aarch64.
#include "common/cpu/kernel_table.h"

#if defined(__GNUC__) && !defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__))
// No such CPU of the last ten years takes these kernels unless it is told to, so that their speed
// does not pay for half of this file's compilation.
#pragma GCC optimize("O1")
#endif

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
