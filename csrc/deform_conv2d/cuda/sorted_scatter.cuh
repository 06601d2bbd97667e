// The deterministic way from column gradients to the image gradient: sort the corners of all
// samples by the pixel they fall on, and sum each pixel's in that order. No torch header.
//
// The sorted entries are cut into tiles of kTileEntries. One thread sums a tile for one vector of
// channels: whatever begins in the tile it adds to the image itself, and what it finds of a run
// that began in an earlier tile it leaves in `partial`. A second kernel adds those, tile after
// tile. So every element has one writer at a time and one order of summation, and a long run (all
// samples on one pixel) is summed by many threads.
#pragma once

#include "deform_conv2d/cuda/chunk.cuh"

namespace dcnbuild::cuda {

/// The key of "no pixel": sorts behind every pixel.
constexpr int32_t kNoPixel = 0x7fffffff;

/// For each sample and corner: its pixel and offset group as one key, and its weight. Entry
/// 4 * sample + corner, with samples as [position][sample channel].
template <typename scalar_t, typename offset_t>
__global__ void __launch_bounds__(kThreads)
    corner_keys_kernel(const Chunk<scalar_t, offset_t> chunk, int32_t* __restrict__ keys,
                       acc_type<scalar_t>* __restrict__ weights) {
  const Shape& shape = chunk.shape;
  const unsigned index = blockIdx.x * unsigned(kThreads) + threadIdx.x;
  const unsigned position = index / unsigned(shape.sample_channels());
  if (position >= unsigned(chunk.count)) return;
  const SampleIndex at =
      sample_index(chunk, int(position), int(index - position * unsigned(shape.sample_channels())));
  const auto [sample, mask] = locate_tap(chunk, at);
  for (int which = 0; which < 4; ++which) {
    const int pixel = (at.image * shape.height + sample.y(which)) * shape.width + sample.x(which);
    const int64_t entry = 4 * int64_t(index) + which;
    keys[entry] = sample.has(which) ? pixel * shape.offset_groups + at.offset_group : kNoPixel;
    weights[entry] = sample.weight(which) * mask;
  }
}

/// What the sort returned, with the weights in their old order.
template <typename acc_t>
struct SortedCorners {
  const int32_t* keys;
  const int64_t* order;  // of each key, the entry it was
  const acc_t* weights;
  int count;

  int tiles() const { return static_cast<int>(ceil_div(count, kTileEntries)); }
  /// Whether the entry's pixel and offset group are those of the entry before.
  DCNBUILD_HD bool continues(int entry) const {
    return entry > 0 && entry < count && keys[entry] == keys[entry - 1];
  }
};

/// A thread's tile and first channel within the offset group, in units of `width`.
struct TileIndex {
  int tile, channel;

  __device__ __forceinline__ TileIndex(int vectors, int width) {
    const int64_t index = int64_t(blockIdx.x) * kThreads + threadIdx.x;
    tile = int(index / vectors);
    channel = int(index % vectors) * width;
  }
};

template <typename acc_t, int width>
__device__ __forceinline__ void add_to(acc_t* to, const acc_t (&values)[width]) {
#pragma unroll
  for (int j = 0; j < width; ++j) to[j] += values[j];
}

/// The first element in the image gradient of a key's offset group.
template <typename acc_t>
__device__ __forceinline__ acc_t* pixel_of(const Shape& shape, acc_t* image, int32_t key) {
  const int pixel = int(unsigned(key) / unsigned(shape.offset_groups));
  return image + int64_t(pixel) * shape.channels +
         (key - pixel * shape.offset_groups) * shape.per_offset_group;
}

template <typename scalar_t, int width>
__global__ void __launch_bounds__(kThreads)
    sum_tiles_kernel(const Shape shape, const int positions, const int tiles,
                     const SortedCorners<acc_type<scalar_t>> corners,
                     const scalar_t* __restrict__ grad_columns,
                     acc_type<scalar_t>* __restrict__ image,
                     acc_type<scalar_t>* __restrict__ partial) {
  using acc_t = acc_type<scalar_t>;
  const TileIndex at(shape.per_offset_group / width, width);
  if (at.tile >= tiles) return;
  const int begin = at.tile * kTileEntries;
  const int end = begin + kTileEntries < corners.count ? begin + kTileEntries : corners.count;
  bool earlier = corners.continues(begin);
  acc_t sum[width] = {};
  for (int entry = begin; entry < end; ++entry) {
    const int32_t key = corners.keys[entry];
    if (key == kNoPixel) break;
    const int64_t source = corners.order[entry];
    const unsigned sample = unsigned(source / 4);
    const unsigned position = sample / unsigned(shape.sample_channels());
    const int sample_channel = int(sample - position * unsigned(shape.sample_channels()));
    const int group = int(unsigned(sample_channel) / unsigned(shape.taps));
    const int column = int(position) * shape.taps + sample_channel - group * shape.taps;
    const int channel = group * shape.per_offset_group + at.channel;
    const auto grad =
        load<scalar_t, width>(grad_columns + column_index(shape, positions, column, channel));
    const acc_t weight = corners.weights[source];
#pragma unroll
    for (int j = 0; j < width; ++j) sum[j] += weight * static_cast<acc_t>(grad.values[j]);
    if (entry + 1 < end && corners.continues(entry + 1)) continue;
    acc_t* to =
        earlier ? partial + int64_t(at.tile) * shape.per_offset_group : pixel_of(shape, image, key);
#pragma unroll
    for (int j = 0; j < width; ++j) {
      to[at.channel + j] = earlier ? sum[j] : to[at.channel + j] + sum[j];
      sum[j] = 0;
    }
    earlier = false;
  }
}

/// Adds to each pixel what other tiles than the one it begins in found of it.
template <typename acc_t>
__global__ void __launch_bounds__(kThreads)
    join_tiles_kernel(const Shape shape, const int tiles, const SortedCorners<acc_t> corners,
                      const acc_t* __restrict__ partial, acc_t* __restrict__ image) {
  const TileIndex at(shape.per_offset_group, 1);
  if (at.tile >= tiles) return;
  // The first tile after the one in which the run begins has the whole run's rest.
  const int begin = at.tile * kTileEntries;
  if (!corners.continues(begin) || corners.keys[begin] == kNoPixel) return;
  if (corners.keys[begin - kTileEntries] == corners.keys[begin] &&
      corners.continues(begin - kTileEntries))
    return;
  acc_t sum = 0;
  for (int tile = at.tile; tile < tiles && corners.keys[tile * kTileEntries] == corners.keys[begin];
       ++tile)
    sum += partial[int64_t(tile) * shape.per_offset_group + at.channel];
  pixel_of(shape, image, corners.keys[begin])[at.channel] += sum;
}

template <typename scalar_t, typename offset_t>
cudaError_t corner_keys(const Chunk<scalar_t, offset_t>& chunk, int32_t* keys,
                        acc_type<scalar_t>* weights, cudaStream_t stream) {
  return launch(corner_keys_kernel<scalar_t, offset_t>, ceil_div(chunk.samples(), kThreads), stream,
                chunk, keys, weights);
}

/// Adds the gradients of the columns of `positions` positions to an image gradient. `partial` holds
/// corners.tiles() runs of an offset group's channels.
template <typename scalar_t>
cudaError_t scatter_sorted(const Shape& shape, int positions,
                           const SortedCorners<acc_type<scalar_t>>& corners,
                           const scalar_t* grad_columns, acc_type<scalar_t>* image,
                           acc_type<scalar_t>* partial, cudaStream_t stream) {
  using acc_t = acc_type<scalar_t>;
  constexpr int full = kVectorWidth<scalar_t>;
  const bool vectors = vectorizable(grad_columns, shape.per_offset_group, shape.per_group);
  const int64_t tiles = corners.tiles(), per_tile = shape.per_offset_group;
  const auto kernel = vectors ? sum_tiles_kernel<scalar_t, full> : sum_tiles_kernel<scalar_t, 1>;
  const cudaError_t error =
      launch(kernel, ceil_div(tiles * (per_tile / (vectors ? full : 1)), kThreads), stream, shape,
             positions, corners.tiles(), corners, grad_columns, image, partial);
  if (error != cudaSuccess) return error;
  return launch(join_tiles_kernel<acc_t>, ceil_div(tiles * per_tile, kThreads), stream, shape,
                corners.tiles(), corners, partial, image);
}

}  // namespace dcnbuild::cuda
