// The kernels for NEON with bfloat16 (FEAT_BF16: Armv8.6, and many CPUs from Armv8.2 on).
#if defined(__aarch64__)
#include <arm_neon.h>

#include "common/cpu/kernel_table.h"

#if defined(DCNBUILD_HAS_NEON_BF16)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("arch=armv8.2-a+bf16"))), apply_to = function)
#else
#pragma GCC target("arch=armv8.2-a+bf16")
#endif

#define DCNBUILD_ISA neon_bf16
#define DCNBUILD_VECTOR_BYTES 16
#define DCNBUILD_GEMM_ROWS 8
#define DCNBUILD_NEON
#define DCNBUILD_NEON_BF16

#include "common/cpu/instruction_set.h"
#include "common/cpu/neon_table.h"

namespace dcnbuild::cpu {
const KernelTable neon_bf16_table = neon_bf16::table("neon_bf16");
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
#endif
