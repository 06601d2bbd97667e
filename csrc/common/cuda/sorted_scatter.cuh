// Adds the gradients of samples to the gradient of an image deterministically: sorts the corners of
// all samples by their pixel, and sums each pixel's corners in that order. No torch header.
//
// A key names a cell: `channels` elements of the image side by side. A pixel has one cell for each
// offset group, or head.
//
// The sorted entries are divided into tiles of kTileEntries. One thread sums a tile for one vector
// of channels. It adds runs of equal keys that begin in the tile to the image. The part of a run
// that began in an earlier tile goes to `partial`. A second kernel adds those parts, tile after
// tile. So every element has one writer at a time and one order of summation, and many threads sum
// a long run (all samples on one pixel).
#pragma once

#include "common/cuda/corners.cuh"

namespace dcnbuild::cuda {

/// The key of "no pixel": sorts behind every pixel.
constexpr int32_t kNoPixel = 0x7fffffff;
/// The number of cells whose keys fit 16 bits. A radix sort passes over those half as often.
constexpr int64_t kNarrowCells = 0xffff;

/// Keys in memory. A narrow one has 16 bits, and begins with the least signed number.
struct Keys {
  void* data;
  bool narrow;

  DCNBUILD_HD int32_t operator[](int64_t index) const {
    if (!narrow) return static_cast<const int32_t*>(data)[index];
    const int32_t key = static_cast<const int16_t*>(data)[index];
    return key == 0x7fff ? kNoPixel : key + 0x8000;
  }
  DCNBUILD_HD void set(int64_t index, int32_t key) const {
    if (narrow)
      static_cast<int16_t*>(data)[index] =
          static_cast<int16_t>(key == kNoPixel ? 0x7fff : key - 0x8000);
    else
      static_cast<int32_t*>(data)[index] = key;
  }
};

/// Writes the keys and weights of a sample's corners: entries 4 * sample + corner. `first_pixel` is
/// the image's first pixel. A pixel has `cells` keys; the sample's is number `cell`.
template <typename acc_t>
__device__ __forceinline__ void store_keys(const Tap<acc_t>& tap, int64_t sample_index,
                                           int first_pixel, int width, int cells, int cell,
                                           const Keys& keys, acc_t* weights) {
  const Sample<acc_t>& sample = tap.sample;
  for (int which = 0; which < 4; ++which) {
    const int pixel = first_pixel + sample.y(which) * width + sample.x(which);
    const int64_t entry = 4 * sample_index + which;
    keys.set(entry, sample.has(which) ? pixel * cells + cell : kNoPixel);
    weights[entry] = sample.weight(which) * tap.mask;
  }
}

/// The result of the sort, with the weights in their old order.
template <typename acc_t>
struct SortedCorners {
  Keys keys;
  const int64_t* order;  // for each key, its entry before the sort
  const acc_t* weights;
  int count;

  int tiles() const { return static_cast<int>(ceil_div(count, kTileEntries)); }
  /// Whether the entry has the same key as the entry before.
  DCNBUILD_HD bool continues(int entry) const {
    return entry > 0 && entry < count && keys[entry] == keys[entry - 1];
  }
};

/// A thread's tile and first channel of a cell, in units of `width`.
struct TileIndex {
  int tile, channel;

  __device__ __forceinline__ TileIndex(int vectors, int width) {
    const int64_t index = int64_t(blockIdx.x) * kThreads + threadIdx.x;
    tile = int(index / vectors);
    channel = int(index % vectors) * width;
  }
};

/// Sums tiles. `source(sample, channel)` points to the gradient of a sample, for the vector of
/// channels that begins with `channel` of its cell.
template <typename Source, int width>
__global__ void __launch_bounds__(kThreads)
    sum_tiles_kernel(const Source source, const int channels, const int tiles,
                     const SortedCorners<acc_type<typename Source::scalar_t>> corners,
                     acc_type<typename Source::scalar_t>* __restrict__ image,
                     acc_type<typename Source::scalar_t>* __restrict__ partial) {
  using scalar_t = typename Source::scalar_t;
  using acc_t = acc_type<scalar_t>;
  const TileIndex at(channels / width, width);
  if (at.tile >= tiles) return;
  const int begin = at.tile * kTileEntries;
  const int end = begin + kTileEntries < corners.count ? begin + kTileEntries : corners.count;
  bool earlier = corners.continues(begin);
  acc_t sum[width] = {};
  for (int entry = begin; entry < end; ++entry) {
    const int32_t key = corners.keys[entry];
    if (key == kNoPixel) break;
    const int64_t corner = corners.order[entry];
    const auto grad = load<scalar_t, width>(source(unsigned(corner / 4), at.channel));
    const acc_t weight = corners.weights[corner];
#pragma unroll
    for (int j = 0; j < width; ++j) sum[j] += weight * static_cast<acc_t>(grad.values[j]);
    if (entry + 1 < end && corners.continues(entry + 1)) continue;
    acc_t* to = earlier ? partial + int64_t(at.tile) * channels : image + int64_t(key) * channels;
#pragma unroll
    for (int j = 0; j < width; ++j) {
      to[at.channel + j] = earlier ? sum[j] : to[at.channel + j] + sum[j];
      sum[j] = 0;
    }
    earlier = false;
  }
}

/// Adds to each cell its sums from the tiles after the one in which its run begins.
template <typename acc_t>
__global__ void __launch_bounds__(kThreads)
    join_tiles_kernel(const int channels, const int tiles, const SortedCorners<acc_t> corners,
                      const acc_t* __restrict__ partial, acc_t* __restrict__ image) {
  const TileIndex at(channels, 1);
  if (at.tile >= tiles) return;
  // Only the first tile after the one in which a run begins goes on: it adds all the other parts.
  const int begin = at.tile * kTileEntries;
  if (!corners.continues(begin) || corners.keys[begin] == kNoPixel) return;
  if (corners.keys[begin - kTileEntries] == corners.keys[begin] &&
      corners.continues(begin - kTileEntries))
    return;
  acc_t sum = 0;
  for (int tile = at.tile; tile < tiles && corners.keys[tile * kTileEntries] == corners.keys[begin];
       ++tile)
    sum += partial[int64_t(tile) * channels + at.channel];
  image[int64_t(corners.keys[begin]) * channels + at.channel] += sum;
}

/// Adds the gradients of samples to an image gradient. `partial` has corners.tiles() * `channels`
/// elements. source.vectors() says whether its gradients can be loaded in 16-byte vectors.
template <typename Source>
cudaError_t scatter_sorted(const Source& source, int channels,
                           const SortedCorners<acc_type<typename Source::scalar_t>>& corners,
                           acc_type<typename Source::scalar_t>* image,
                           acc_type<typename Source::scalar_t>* partial, cudaStream_t stream) {
  using acc_t = acc_type<typename Source::scalar_t>;
  constexpr int full = kVectorWidth<typename Source::scalar_t>;
  const int64_t tiles = corners.tiles();
  const bool vectors = source.vectors();
  const auto kernel = vectors ? DCNBUILD_GLOBAL(sum_tiles_kernel, Source, full)
                              : DCNBUILD_GLOBAL(sum_tiles_kernel, Source, 1);
  const cudaError_t error =
      launch(kernel, ceil_div(tiles * (channels / (vectors ? full : 1)), kThreads), stream, source,
             channels, corners.tiles(), corners, image, partial);
  if (error != cudaSuccess) return error;
  return launch(DCNBUILD_GLOBAL(join_tiles_kernel, acc_t), ceil_div(tiles * channels, kThreads),
                stream, channels, corners.tiles(), corners, partial, image);
}

}  // namespace dcnbuild::cuda
