// How every kernel deals out its threads, and what a chunk may take: plain numbers and functions,
// without CUDA or torch.
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

/// Bytes that the columns, or sorted corners, of a chunk may take by default: with the images and
/// maps beside them they stay in the L2 of A100 (40 MB) and H100 (50 MB) between the kernel that
/// writes them and what reads them. DCNBUILD_COLUMN_BYTES in the environment overrides it.
constexpr int64_t kColumnBytes = 16 << 20;

/// Sorted entries that one thread of the deterministic route sums.
constexpr int kTileEntries = 32;

/// Bytes of what the deterministic route sorts for one corner of a sample: a key and a weight, what
/// the sort returns (a key and a 64-bit index) and as much again inside it, and a share of the
/// partial sums of `channels`.
inline int64_t sorted_entry_bytes(int64_t channels, int64_t acc_size) {
  return 4 + acc_size + 2 * (4 + 8) + ceil_div(channels * acc_size, kTileEntries);
}

}  // namespace dcnbuild::cuda
