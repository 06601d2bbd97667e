// The kernels for AVX-512 (F, VL, BW, DQ).
#if defined(__x86_64__)
#include <immintrin.h>

#include "common/cpu/kernel_table.h"

#if defined(__clang__)
#pragma clang attribute push(                                                    \
    __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,f16c"))), \
    apply_to = function)
#else
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,f16c")
#endif

#define DCNBUILD_ISA avx512
#define DCNBUILD_VECTOR_BYTES 64
#define DCNBUILD_GEMM_ROWS 12
#define DCNBUILD_F16C

#include "common/cpu/instruction_set.h"

namespace dcnbuild::cpu {
const KernelTable avx512_table{"avx512", avx512::kernels<float>(), avx512::kernels<double>()};
}

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
