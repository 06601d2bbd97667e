// Has the compiler make AMX of the rest of the file, as target_avx512.h does AVX-512.
#pragma once

#include "common/cpu/matrix_levels.h"

#ifdef DCNBUILD_HAS_AMX
#include <immintrin.h>

#ifdef DCNBUILD_HAS_AMX_FP16
#define DCNBUILD_AMX_TARGET "amx-tile,amx-bf16,amx-fp16"
#else
#define DCNBUILD_AMX_TARGET "amx-tile,amx-bf16"
#endif
#if defined(__clang__)
#define DCNBUILD_TARGET_END _Pragma("clang attribute pop")
#pragma clang attribute push(__attribute__((target(DCNBUILD_AMX_TARGET))), apply_to = function)
#else
#define DCNBUILD_TARGET_END
#define DCNBUILD_PRAGMA(text) _Pragma(#text)
#define DCNBUILD_TARGET(names) DCNBUILD_PRAGMA(GCC target(names))
DCNBUILD_TARGET(DCNBUILD_AMX_TARGET)
#endif
#endif
