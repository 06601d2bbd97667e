// Chooses the instruction set: the best that the CPU has, unless DCNBUILD_CPU_ISA names another.
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include "common/cpu/kernel_table.h"
#include "common/cpu/matrix_levels.h"
#include "common/cpu/x86_features.h"

namespace dcnbuild::cpu {
namespace {

#ifdef DCNBUILD_HAS_NEON_BF16
bool has_neon_bf16() {
#if defined(__linux__)
  constexpr unsigned long bf16 = 1ul << 14;  // HWCAP2_BF16, which older headers do not name
  return (getauxval(AT_HWCAP2) & bf16) != 0;
#else
  return false;
#endif
}
#endif

/// An instruction set by its name.
struct Level {
  const char* name;
  /// Null if this library was compiled without it.
  KernelTable (*table)();
  bool (*runs_here)();
  /// Null if it is always faster than the levels after it.
  bool (*pays_here)() = nullptr;
};

#if defined(__x86_64__)
#ifdef DCNBUILD_HAS_AVX512BF16
KernelTable avx512bf16_level() {
  KernelTable table = avx512_table;
  table.bfloat16 = &avx512bf16_bfloat16;
  return table;
}

const MatrixKernels* with_tiles(const MatrixKernels& kernels,
                                void (*multiply)(const MatrixProduct&), MatrixKernels& out) {
  out = kernels;
  out.multiply = multiply, out.row_step = kAmxRows, out.depth_step = kAmxDepth;
  return &out;
}

KernelTable amx_level() {
  static MatrixKernels bfloat16;
  KernelTable table = avx512_table;
  table.bfloat16 = with_tiles(avx512bf16_bfloat16, multiply_amx_bfloat16, bfloat16);
  return table;
}

KernelTable amx_fp16_level() {
  static MatrixKernels half;
  KernelTable table = amx_level();
  table.half = with_tiles(avx512bf16_half, multiply_amx_half, half);
  return table;
}
#else
constexpr KernelTable (*avx512bf16_level)() = nullptr, (*amx_level)() = nullptr,
                      (*amx_fp16_level)() = nullptr;
#endif
#endif

/// Best first, of those that pay. Whether AMX runs here is asked only if the levels before it do
/// not run.
const Level kLevels[] = {
#if defined(__x86_64__)
    {"amx_fp16", amx_fp16_level, has_amx_fp16},
    {"amx", amx_level, has_amx},
    {"avx512bf16", avx512bf16_level, has_avx512bf16, multiplies_pairs_fast},
    {"avx512", [] { return avx512_table; }, has_avx512},
    {"avx2", [] { return avx2_table; }, has_avx2},
#elif defined(__aarch64__)
#ifdef DCNBUILD_HAS_NEON_BF16
    {"neon_bf16", [] { return neon_bf16_table; }, has_neon_bf16},
#endif
    {"neon", [] { return neon_table; }, [] { return true; }},  // of every aarch64 CPU
#endif
    {"generic", [] { return generic_table; }, [] { return true; }},
};

KernelTable choose() {
  const char* asked = std::getenv("DCNBUILD_CPU_ISA");
  const bool any = asked == nullptr || *asked == '\0';
  std::string known;
  for (const Level& level : kLevels) {
    known += std::string(known.empty() ? "" : ", ") + level.name;
    if (any ? level.pays_here != nullptr && !level.pays_here()
            : std::strcmp(asked, level.name) != 0)
      continue;
    if (level.table != nullptr && level.runs_here()) {
      KernelTable table = level.table();
      table.name = level.name;
      return table;
    }
    if (any) continue;
    throw std::runtime_error(
        std::string("deform_conv2d: DCNBUILD_CPU_ISA asks for ") + asked +
        (level.table == nullptr ? ", which the compiler of this library did not know"
                                : ", which this CPU does not have, or its system does not permit") +
        "; unset it or set it to generic");
  }
  throw std::runtime_error(std::string("deform_conv2d: DCNBUILD_CPU_ISA is ") + asked +
                           ", expected one of " + known);
}

}  // namespace

const KernelTable& selected_table() {
  static const KernelTable table = choose();
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
