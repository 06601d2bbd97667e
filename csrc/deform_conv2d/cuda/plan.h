// Plans the part of a call that is computed at once, and the number of blocks: plain functions of
// the shapes, without CUDA or torch.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/cuda/blocks.h"
#include "deform_conv2d/geometry.h"

namespace dcnbuild::cuda {

/// The division of a batch: passes of whole images, whose layout copies share a buffer, and in each
/// pass chunks of `positions` of every image. A pass of several images is one chunk.
struct ChunkPlan {
  int64_t images, positions;

  int64_t chunk_positions() const { return images * positions; }
};

/// The sides of the tiles into which a library divides a large product.
constexpr int64_t kGemmTile = 128;

/// The bytes of a chunk's columns on a GPU of so many multiprocessors: as many as a product needs
/// to have a tile for each, but no fewer than kColumnBytes and no more than kMostColumnBytes.
/// kColumnBytes if the number is not known (0).
inline int64_t chunk_bytes(const Geometry& g, int64_t element_size, int64_t processors) {
  const int64_t groups = std::max<int64_t>(g.groups, 1);
  const int64_t across =
      groups * std::max<int64_t>(ceil_div(g.out_channels / groups, kGemmTile), 1);
  const int64_t rows = ceil_div(processors, across) * kGemmTile;
  return std::clamp(rows * g.column_size() * element_size, kColumnBytes, kMostColumnBytes);
}

/// Bytes that the deterministic route sorts for each position.
inline int64_t sort_bytes(const Geometry& g, int64_t acc_size) {
  return 4 * g.taps() * g.offset_groups *
         sorted_entry_bytes(g.channels_per_offset_group(), acc_size);
}

/// A plan whose buffers take at most 4 * column_bytes: columns and their gradients 1 each, a map of
/// the output's channels 1/2, the sort of the deterministic route 1, and 1/4 each for input and
/// grad_input in channels-last order. It has at least one position and one image, even if those
/// take more.
inline ChunkPlan plan_chunks(const Geometry& g, int64_t element_size, int64_t acc_size,
                             bool deterministic, int64_t column_bytes) {
  const int64_t samples = g.taps() * g.offset_groups;
  int64_t fitting = std::min(column_bytes / (g.column_size() * element_size),
                             column_bytes / 2 / (g.out_channels * element_size));
  fitting = std::min(fitting, kCountLimit / (4 * samples));
  fitting = std::min(fitting, kCountLimit / g.column_size());
  if (deterministic) fitting = std::min(fitting, column_bytes / sort_bytes(g, acc_size));
  fitting = std::max<int64_t>(fitting, 1);

  const int64_t positions = std::max<int64_t>(g.positions(), 1),
                batch = std::max<int64_t>(g.batch, 1);
  if (fitting >= positions) {
    const int64_t image_bytes =
        std::max<int64_t>(g.channels * g.height * g.width * acc_size, acc_size);
    const int64_t images = std::clamp<int64_t>(
        std::min(fitting / positions, column_bytes / 4 / image_bytes), 1, batch);
    // Makes passes of nearly equal size, so that the last is not a small remainder.
    return {ceil_div(batch, ceil_div(batch, images)), positions};
  }
  // Makes chunks of nearly equal size; if possible, the size keeps the rows of a GEMM aligned.
  int64_t size = ceil_div(positions, ceil_div(positions, fitting));
  constexpr int64_t alignment = 64;
  if (ceil_div(size, alignment) * alignment <= fitting)
    size = ceil_div(size, alignment) * alignment;
  return {1, size};
}

/// Neighbouring positions of a block: as many as fill a 32-byte sector of a float offset map.
constexpr int kPositionsPerBlock = 8;
/// The largest number of samples that a block computes once and shares among its channels.
constexpr int kSamplesPerBlock = 128;
/// The number of blocks to reach before blocks get more samples: four on each SM of an H100.
constexpr int64_t kTargetBlocks = 528;

/// The blocks that cover `positions` x `sample_channels` samples (a sample channel is one tap of
/// one offset group).
struct SampleGrid {
  int channels;   // sample channels of a block
  int splits;     // blocks that share the positions of a block
  int64_t tiles;  // blocks along the positions

  int64_t blocks() const { return tiles * splits; }
};

inline SampleGrid sample_grid(int64_t positions, int64_t sample_channels) {
  const int64_t tiles = ceil_div(positions, kPositionsPerBlock);
  const int64_t least = ceil_div(sample_channels, kSamplesPerBlock / kPositionsPerBlock);
  const int64_t wanted = ceil_div(kTargetBlocks, std::max<int64_t>(tiles, 1));
  const int64_t channels =
      ceil_div(sample_channels, std::clamp<int64_t>(wanted, least, sample_channels));
  return {static_cast<int>(channels), static_cast<int>(ceil_div(sample_channels, channels)), tiles};
}

/// Whether the kernels' 32-bit coordinates and counts are large enough for this call. A call that
/// does not fit has tensors of tens of gigabytes in one image.
inline bool fits_kernels(const Geometry& g) {
  return g.height + 2 * g.padding_h < kCountLimit && g.width + 2 * g.padding_w < kCountLimit &&
         g.positions() < kCountLimit && g.column_size() < kCountLimit &&
         4 * g.taps() * g.offset_groups < kCountLimit && g.out_channels < kCountLimit &&
         g.height * g.width < kCountLimit;
}

}  // namespace dcnbuild::cuda
