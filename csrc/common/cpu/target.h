// DCNBUILD_TARGET("avx2,fma") has the compiler make these instructions of the rest of the file.
// With clang, the file ends in DCNBUILD_TARGET_END. The tests have a header of this name that
// stands in for the instructions.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define DCNBUILD_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define DCNBUILD_TARGET(names) \
  DCNBUILD_PRAGMA(clang attribute push(__attribute__((target(names))), apply_to = function))
#define DCNBUILD_TARGET_END _Pragma("clang attribute pop")
#else
#define DCNBUILD_TARGET(names) DCNBUILD_PRAGMA(GCC target(names))
#define DCNBUILD_TARGET_END
#endif
