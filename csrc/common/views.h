// Views of memory for kernels, and the limits of their counts. No torch header: CPU and CUDA
// kernels share this file.
#pragma once

#include <cstdint>

namespace dcnbuild {

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Sides of the padded image are below this: kernels count positions in 32 bits, with room to add
/// one block to any count.
constexpr int64_t kPaddedLimit = (int64_t(1) << 31) - (1 << 16);

/// A tensor of four dimensions, [n][c][h][w], by its strides in elements.
template <typename T>
struct View4 {
  T* data;
  int64_t n, c, h, w;
};

}  // namespace dcnbuild
