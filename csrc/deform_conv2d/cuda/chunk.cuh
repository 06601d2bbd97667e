// A chunk of a call: locates its samples, and shares their values among the threads of a block. No
// torch header.
//
// A chunk is a range of positions of one image, or all positions of a few images. Its columns are
// [group][position][tap][channel of the group]. A sample channel is one tap of one offset group,
// numbered like the mask's channels; a sample is one position of one sample channel. One thread
// computes the values that do not depend on the channel (the sample's position, weights and mask),
// and shares them with the threads that run over its channels.
#pragma once

#include "common/cuda/corners.cuh"
#include "deform_conv2d/cuda/plan.h"

namespace dcnbuild::cuda {

/// The geometry in 32 bits (see fits_kernels): in 64 bits, a division by a run-time number costs
/// four times as much.
struct Shape {
  int height, width, out_width, positions;
  int kernel_w, taps;
  int stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w;
  int channels, groups, per_group, offset_groups, per_offset_group;

  explicit Shape(const Geometry& g)
      : height(int(g.height)),
        width(int(g.width)),
        out_width(int(g.out_width)),
        positions(int(g.positions())),
        kernel_w(int(g.kernel_w)),
        taps(int(g.taps())),
        stride_h(int(g.stride_h)),
        stride_w(int(g.stride_w)),
        padding_h(int(g.padding_h)),
        padding_w(int(g.padding_w)),
        dilation_h(int(g.dilation_h)),
        dilation_w(int(g.dilation_w)),
        channels(int(g.channels)),
        groups(int(g.groups)),
        per_group(int(g.channels_per_group())),
        offset_groups(int(g.offset_groups)),
        per_offset_group(int(g.channels_per_offset_group())) {}

  DCNBUILD_HD int sample_channels() const { return taps * offset_groups; }
};

/// A kernel's arguments for a chunk. All pointers point to its first image; `mask.data` may be
/// null.
template <typename scalar_t, typename offset_t>
struct Chunk {
  Shape shape;
  const scalar_t* image;  // channels innermost: pixel (y, x) starts at (y * width + x) * pixel
  int64_t image_stride, pixel;
  View4<const offset_t> offset, mask;
  int begin;  // position of the first image at which the chunk begins
  int count;  // positions

  int64_t samples() const { return int64_t(count) * shape.sample_channels(); }
};

/// The place of one sample. `position` counts from the chunk's begin.
struct SampleIndex {
  int position, channel;
  int image, out_y, out_x;
  int tap, offset_group;
};

template <typename scalar_t, typename offset_t>
DCNBUILD_HD SampleIndex sample_index(const Chunk<scalar_t, offset_t>& chunk, int position,
                                     int channel) {
  const Shape& shape = chunk.shape;
  SampleIndex at;
  at.position = position;
  at.channel = channel;
  const unsigned p = unsigned(chunk.begin) + unsigned(position);
  at.image = int(p / unsigned(shape.positions));
  const unsigned within = p - unsigned(at.image) * unsigned(shape.positions);
  at.out_y = int(within / unsigned(shape.out_width));
  at.out_x = int(within - unsigned(at.out_y) * unsigned(shape.out_width));
  at.offset_group = int(unsigned(channel) / unsigned(shape.taps));
  at.tap = channel - at.offset_group * shape.taps;
  return at;
}

/// The element of [n][c][h][w] that belongs to a sample, `channel` given.
template <typename T>
DCNBUILD_HD T* element(const View4<T>& view, const SampleIndex& at, int64_t channel) {
  return view.data + at.image * view.n + channel * view.c + at.out_y * view.h + at.out_x * view.w;
}

/// The sample and its modulation (1 without a mask).
template <typename scalar_t, typename offset_t>
DCNBUILD_HD Tap<acc_type<scalar_t>> locate_tap(const Chunk<scalar_t, offset_t>& chunk,
                                               const SampleIndex& at) {
  using acc_t = acc_type<scalar_t>;
  const Shape& s = chunk.shape;
  const int tap_y = int(unsigned(at.tap) / unsigned(s.kernel_w));
  const int tap_x = at.tap - tap_y * s.kernel_w;
  const int y = at.out_y * s.stride_h - s.padding_h + tap_y * s.dilation_h;
  const int x = at.out_x * s.stride_w - s.padding_w + tap_x * s.dilation_w;
  const offset_t* offset = element(chunk.offset, at, 2 * int64_t(at.channel));
  Tap<acc_t> tap{
      sample_at(acc_t(y) + static_cast<acc_t>(offset[0]),
                acc_t(x) + static_cast<acc_t>(offset[chunk.offset.c]), s.height, s.width),
      acc_t(1)};
  if (chunk.mask.data) tap.mask = static_cast<acc_t>(*element(chunk.mask, at, at.channel));
  return tap;
}

/// The values of one sample that the threads of a block share.
template <typename acc_t>
struct SharedTap : SharedCorners<acc_t> {
  int image;    // of the chunk
  int channel;  // the first of its channels
  int column;   // position * taps + tap; -1 for a place without a sample
};

/// The samples of a block: kPositionsPerBlock neighbouring positions (fastest) of each of a few
/// sample channels. So it reads offsets and masks, and writes their gradients, in whole sectors.
template <typename scalar_t, typename offset_t>
struct BlockSamples {
  int first_position, first_channel, channels;

  __device__ __forceinline__ BlockSamples(const Chunk<scalar_t, offset_t>& chunk,
                                          const SampleGrid& grid) {
    const unsigned tile = blockIdx.x / unsigned(grid.splits);
    first_position = int(tile) * kPositionsPerBlock;
    first_channel = int(blockIdx.x - tile * unsigned(grid.splits)) * grid.channels;
    const int left = chunk.shape.sample_channels() - first_channel;
    channels = left < grid.channels ? left : grid.channels;
  }

  __device__ __forceinline__ int count() const { return channels * kPositionsPerBlock; }

  __device__ __forceinline__ SampleIndex at(const Chunk<scalar_t, offset_t>& chunk,
                                            int index) const {
    return sample_index(chunk, first_position + index % kPositionsPerBlock,
                        first_channel + index / kPositionsPerBlock);
  }
};

/// Computes each sample of the block by one thread, and waits for all.
template <typename scalar_t, typename offset_t>
__device__ __forceinline__ void share_taps(const Chunk<scalar_t, offset_t>& chunk,
                                           const BlockSamples<scalar_t, offset_t>& samples,
                                           SharedTap<acc_type<scalar_t>>* taps) {
  if (threadIdx.x < unsigned(samples.count())) {
    SharedTap<acc_type<scalar_t>>& shared = taps[threadIdx.x];
    const SampleIndex at = samples.at(chunk, threadIdx.x);
    shared.column = -1;
    if (at.position < chunk.count) {
      shared.set(locate_tap(chunk, at), 0, chunk.shape.width);
      shared.image = at.image;
      shared.channel = at.offset_group * chunk.shape.per_offset_group;
      shared.column = at.position * chunk.shape.taps + at.tap;
    }
  }
  __syncthreads();
}

/// The index of a sample's columns from `channel` on; `column` is that of SharedTap.
DCNBUILD_HD int64_t column_index(const Shape& shape, int count, int column, int channel) {
  if (shape.groups == 1) return int64_t(column) * shape.channels + channel;
  const int group = int(unsigned(channel) / unsigned(shape.per_group));
  const int64_t row = int64_t(group) * count * shape.taps + column;
  return row * shape.per_group + (channel - group * shape.per_group);
}

}  // namespace dcnbuild::cuda
