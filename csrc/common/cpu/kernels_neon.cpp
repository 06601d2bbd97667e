// The kernels for NEON, which every aarch64 CPU has.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "common/cpu/kernel_table.h"

#define DCNBUILD_ISA neon
#define DCNBUILD_VECTOR_BYTES 16
#define DCNBUILD_GEMM_ROWS 8
#define DCNBUILD_NEON

#include "common/cpu/instruction_set.h"
#include "common/cpu/neon_table.h"

namespace dcnbuild::cpu {
const KernelTable neon_table = neon::table("neon");
}
#endif
