// Checks the inner kernels of the level that DCNBUILD_CPU_ISA names, or of the best level.
// Prints the level and the number of comparisons. Ends with status 1 if one fails, and with 77 if
// this CPU does not have the level.
#include <stdexcept>

#include "checks.h"

int main() {
  const dcnbuild::cpu::KernelTable* table = nullptr;
  try {
    table = &dcnbuild::cpu::selected_table();
  } catch (const std::runtime_error& error) {
    std::puts(error.what());
    return 77;
  }
  checks::check_products(*table);
  checks::check_copies(*table);
  checks::check_convolution(*table);
  checks::check_attention(*table);
  checks::check_corner_sums(*table);
  if (table->bfloat16) checks::check_matrix("bfloat16", *table->bfloat16, checks::kBFloat16);
  if (table->half) checks::check_matrix("float16", *table->half, checks::kFloat16);
  std::printf("%s: %ld compared, %ld failed\n", table->name, checks::count.compared,
              checks::count.failed);
  return checks::count.failed != 0;
}
