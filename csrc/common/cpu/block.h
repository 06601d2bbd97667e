// Shared by the kernels that sample images and their callers. Plain data, so that every instruction
// set can include it. No torch header.
#pragma once

namespace dcnbuild::cpu {

/// The number of samples that are located together, one in each vector lane.
constexpr int kBlock = 8;

/// Gradients of a block's positions (y, x) and masks.
template <typename T>
struct TapGradients {
  T y[kBlock], x[kBlock], mask[kBlock];
};

}  // namespace dcnbuild::cpu
