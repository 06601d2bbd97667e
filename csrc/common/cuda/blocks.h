// How every kernel deals out its threads: plain numbers and functions, without CUDA or torch.
#pragma once

#include <cstdint>

#include "common/views.h"

namespace dcnbuild::cuda {

/// Threads of every block.
constexpr int kThreads = 256;

/// Samples are counted in 32 bits inside the kernels, with room to add a block to any count.
constexpr int64_t kCountLimit = kPaddedLimit;

/// The lanes of a warp that share one sample, each taking every lanes-th vector of its channels: a
/// power of two.
inline int lanes_per_sample(int64_t vectors) {
  int lanes = 1;
  while (lanes < 32 && lanes < vectors) lanes *= 2;
  return lanes;
}

}  // namespace dcnbuild::cuda
