// In the place of the header of this name: a CPU that has everything up to the level that
// DCNBUILD_STAND_IN_HAS names, or everything; Intel's if DCNBUILD_STAND_IN_INTEL is set.
#pragma once

#include <cstdlib>
#include <cstring>

namespace dcnbuild::cpu {

inline bool stands_in(const char* level) {
  const char* best = std::getenv("DCNBUILD_STAND_IN_HAS");
  if (best == nullptr) return true;
  for (const char* name : {"avx2", "avx512", "avx512bf16", "amx", "amx_fp16"}) {
    if (std::strcmp(name, level) == 0) return true;
    if (std::strcmp(name, best) == 0) return false;
  }
  return false;
}

inline bool has_avx2() { return stands_in("avx2"); }
inline bool has_avx512() { return stands_in("avx512"); }
inline bool has_avx512bf16() { return stands_in("avx512bf16"); }
inline bool multiplies_pairs_fast() { return std::getenv("DCNBUILD_STAND_IN_INTEL") == nullptr; }
inline bool has_amx() { return stands_in("amx"); }
inline bool has_amx_fp16() { return stands_in("amx_fp16"); }

}  // namespace dcnbuild::cpu
