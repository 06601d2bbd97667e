// Chooses the instruction set: the best that the CPU has, unless DCNBUILD_CPU_ISA names another.
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include "common/cpu/kernel_table.h"

namespace dcnbuild::cpu {
namespace {

#if defined(__x86_64__)
bool has_avx2() {
  // Reads CPUID leaf 1, ECX: not every compiler's __builtin_cpu_supports knows f16c.
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  const bool f16c = __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C);
  return f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}
#endif

#if defined(DCNBUILD_HAS_NEON_BF16)
bool has_neon_bf16() {
#if defined(__linux__)
  constexpr unsigned long bf16 = 1ul << 14;  // HWCAP2_BF16, which older headers do not name
  return (getauxval(AT_HWCAP2) & bf16) != 0;
#else
  return false;
#endif
}
#endif

struct Level {
  const KernelTable* table;
  bool runs_here;
};

const KernelTable& choose() {
  // Best first.
  const Level levels[] = {
#if defined(__x86_64__)
      {&avx512_table, has_avx512()},
      {&avx2_table, has_avx2()},
#elif defined(__aarch64__)
#if defined(DCNBUILD_HAS_NEON_BF16)
      {&neon_bf16_table, has_neon_bf16()},
#endif
      {&neon_table, true},  // of every aarch64 CPU
#endif
      {&generic_table, true},
  };
  const char* name = std::getenv("DCNBUILD_CPU_ISA");
  std::string known;
  for (const Level& level : levels) {
    known += std::string(known.empty() ? "" : ", ") + level.table->name;
    if (name == nullptr || *name == '\0') {
      if (level.runs_here) return *level.table;
    } else if (std::strcmp(name, level.table->name) == 0) {
      if (level.runs_here) return *level.table;
      throw std::runtime_error(std::string("deform_conv2d: DCNBUILD_CPU_ISA asks for ") + name +
                               ", which this CPU does not have; unset it or set it to generic");
    }
  }
  throw std::runtime_error(std::string("deform_conv2d: DCNBUILD_CPU_ISA is ") + name +
                           ", expected one of " + known);
}

}  // namespace

const KernelTable& selected_table() {
  static const KernelTable& table = choose();
  return table;
}

}  // namespace dcnbuild::cpu

/// The name of the instruction set in use, for tests and reports; null if DCNBUILD_CPU_ISA names
/// one that cannot be used.
extern "C" __attribute__((visibility("default"))) const char* dcnbuild_cpu_isa() {
  try {
    return dcnbuild::cpu::selected_table().name;
  } catch (const std::runtime_error&) {
    return nullptr;
  }
}
