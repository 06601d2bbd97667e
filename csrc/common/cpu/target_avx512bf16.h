// The same as target_avx512.h, with AVX512-BF16. DCNBUILD_HAS_AVX512BF16: the compiler knows it.
#pragma once

#include "common/cpu/matrix_levels.h"

#ifdef DCNBUILD_HAS_AVX512BF16
#include <immintrin.h>

#if defined(__clang__)
#define DCNBUILD_TARGET_END _Pragma("clang attribute pop")
#pragma clang attribute push(                                                               \
    __attribute__((target("avx512bf16,avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,f16c"))), \
    apply_to = function)
#else
#define DCNBUILD_TARGET_END
#pragma GCC target("avx512bf16,avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,f16c")
#endif
#endif
