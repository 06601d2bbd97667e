// What the kernels that sample images share with those that call them. Plain data, so that every
// instruction set can include it. No torch header.
#pragma once

namespace dcnbuild::cpu {

/// Samples that are located together, one vector lane each.
constexpr int kBlock = 8;

/// Gradients of a block's positions (y, x) and masks.
template <typename T>
struct TapGradients {
  T y[kBlock], x[kBlock], mask[kBlock];
};

}  // namespace dcnbuild::cpu
