// How kernels assign threads, and how much memory a chunk may take: plain numbers and functions,
// without CUDA or torch.
#pragma once

#include <cstdint>

#include "common/views.h"

namespace dcnbuild::cuda {

/// The number of threads of every block.
constexpr int kThreads = 256;

/// Kernels count samples in 32 bits, with room to add one block to any count.
constexpr int64_t kCountLimit = kPaddedLimit;

/// The number of lanes of a warp that share one sample, a power of two. Each takes every lanes-th
/// vector of the channels.
inline int lanes_per_sample(int64_t vectors) {
  int lanes = 1;
  while (lanes < 32 && lanes < vectors) lanes *= 2;
  return lanes;
}

/// The default bytes of a chunk's columns or sorted corners. With the images and maps beside them,
/// they stay in the L2 of A100 (40 MB) and H100 (50 MB) from the kernel that writes them to the one
/// that reads them. The environment variable DCNBUILD_COLUMN_BYTES overrides it.
constexpr int64_t kColumnBytes = 16 << 20;
/// The most bytes of a chunk's columns, where a large GPU needs more to be busy.
constexpr int64_t kMostColumnBytes = 48 << 20;

/// The number of sorted entries that one thread of the deterministic route sums.
constexpr int kTileEntries = 32;

/// The bytes that the deterministic route needs for one corner of a sample: a key and a weight, the
/// sort's result (a key and a 64-bit index), as much again inside the sort, and a share of the
/// partial sums of `channels`.
inline int64_t sorted_entry_bytes(int64_t channels, int64_t acc_size) {
  return 4 + acc_size + 2 * (4 + 8) + ceil_div(channels * acc_size, kTileEntries);
}

}  // namespace dcnbuild::cuda
