// Has the compiler make AVX-512 (F, VL, BW, DQ) of the rest of the file. With clang, the file ends
// in DCNBUILD_TARGET_END. The tests have a header of this name that stands in for the instructions.
#pragma once

#include <immintrin.h>

#if defined(__clang__)
#define DCNBUILD_TARGET_END _Pragma("clang attribute pop")
#pragma clang attribute push(                                                    \
    __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,f16c"))), \
    apply_to = function)
#else
#define DCNBUILD_TARGET_END
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,avx2,fma,f16c")
#endif
