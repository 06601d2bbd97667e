// What an x86-64 CPU and its operating system offer. Only isa.cpp asks. The tests have a header of
// this name for a CPU that has everything.
#pragma once

#if defined(__x86_64__)
#include <cpuid.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace dcnbuild::cpu {

/// CPUID's registers for a leaf; zeros if the CPU does not have it.
struct CpuId {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  explicit CpuId(unsigned leaf, unsigned subleaf = 0) {
    __get_cpuid_count(leaf, subleaf, &eax, &ebx, &ecx, &edx);
  }
};

inline bool has_bit(unsigned bits, int which) { return (bits >> which) & 1u; }

inline bool has_avx2() {
  // Not every compiler's __builtin_cpu_supports knows f16c.
  return (CpuId(1).ecx & bit_F16C) && __builtin_cpu_supports("avx2") &&
         __builtin_cpu_supports("fma");
}

inline bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}

/// Leaf 7, subleaf 1: EAX, bit 5 AVX512-BF16, bit 21 AMX-FP16.
inline bool has_avx512bf16() {
  return has_avx512() && CpuId(7).eax >= 1 && has_bit(CpuId(7, 1).eax, 5);
}

/// Whether vdpbf16ps, which multiplies two pairs of numbers, takes less than twice the time of a
/// float's product. On Intel's CPUs it takes over four times: there AMX multiplies bfloat16, or
/// float's instructions do.
inline bool multiplies_pairs_fast() {
  const CpuId vendor(0);
  return vendor.ebx != signature_INTEL_ebx || vendor.ecx != signature_INTEL_ecx ||
         vendor.edx != signature_INTEL_edx;
}

/// Asks Linux once for the permission to use AMX's tiles, which holds for the whole process. False
/// if the CPU or the kernel lacks them, or a thread's alternative signal stack is too small for
/// them.
inline bool has_amx() {
#if defined(__linux__)
  constexpr int request = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  // Leaf 7: EDX, bit 22 AMX-BF16, bit 24 AMX-TILE. Leaf 1: ECX, bit 27, the system has set XCR0.
  const CpuId features(7);
  if (!has_avx512bf16() || !has_bit(features.edx, 22) || !has_bit(features.edx, 24) ||
      !has_bit(CpuId(1).ecx, 27))
    return false;
  unsigned low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if (!has_bit(low, 17) || !has_bit(low, 18)) return false;  // the tiles and their configuration
  static const bool permitted = syscall(SYS_arch_prctl, request, tile_data) == 0;
  return permitted;
#else
  return false;
#endif
}

inline bool has_amx_fp16() { return has_amx() && has_bit(CpuId(7, 1).eax, 21); }

}  // namespace dcnbuild::cpu
#endif
