// Compares the kernels for half types, on stand-ins for their instructions, with sums in double.
// Exits with 1 and says where the first differences are.
#include "checks.h"
#include "common/cpu/matrix_levels.h"

namespace {

using namespace checks;

MatrixKernels with_tiles(MatrixKernels kernels, void (*multiply)(const MatrixProduct&)) {
  kernels.multiply = multiply, kernels.row_step = kAmxRows, kernels.depth_step = kAmxDepth;
  return kernels;
}

}  // namespace

int main() {
  check_matrix("avx512bf16", avx512bf16_bfloat16, kBFloat16);
  check_matrix("amx", with_tiles(avx512bf16_bfloat16, multiply_amx_bfloat16), kBFloat16);
  check_matrix("amx_fp16", with_tiles(avx512bf16_half, multiply_amx_half), kFloat16);
  std::printf("%ld failed\n", count.failed);
  return count.failed != 0;
}
