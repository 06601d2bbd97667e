// The two main kernels: one computes columns from an image, the other gradients from column
// gradients. No torch header.
#pragma once

#include "deform_conv2d/cuda/chunk.cuh"

namespace dcnbuild::cuda {

/// Calls use(which, values) for each corner of a tap, with a vector of channels.
template <int width, typename scalar_t, typename offset_t, typename F>
__device__ __forceinline__ void for_tap(const Chunk<scalar_t, offset_t>& chunk,
                                        const SharedTap<acc_type<scalar_t>>& tap, int channel,
                                        const F& use) {
  for_corners<width>(chunk.image + tap.image * chunk.image_stride + channel, tap, chunk.pixel, use);
}

/// columns = modulated samples of the chunk.
template <typename scalar_t, typename offset_t, int width>
__global__ void __launch_bounds__(kThreads, kBlocksPerSM)
    gather_columns_kernel(const Chunk<scalar_t, offset_t> chunk, const SampleGrid grid,
                          const int lanes, scalar_t* __restrict__ columns) {
  __shared__ SharedTap<acc_type<scalar_t>> taps[kSamplesPerBlock];
  const BlockSamples<scalar_t, offset_t> samples(chunk, grid);
  const int thread = threadIdx.x;
  share_taps(chunk, samples, taps);
  for (int i = thread / lanes; i < samples.count(); i += kThreads / lanes) {
    const SharedTap<acc_type<scalar_t>>& tap = taps[i];
    if (tap.column < 0) continue;
    for (int c = thread % lanes * width; c < chunk.shape.per_offset_group; c += lanes * width) {
      const int channel = tap.channel + c;
      acc_type<scalar_t> sum[width] = {};
      for_tap<width>(chunk, tap, channel, [&](int which, const auto& values) {
        add_scaled(sum, tap.weight[which], values);
      });
      store(columns + column_index(chunk.shape, chunk.count, tap.column, channel),
            packed<scalar_t>(sum));
    }
  }
}

/// The outputs of the gradient kernel; it leaves out those without data.
template <typename scalar_t, typename offset_t>
struct Destinations {
  scalar_t* columns;             // like gather_columns, for the gradient of the weight
  acc_type<scalar_t>* image;     // [image][height][width][channel], added to
  View4<offset_t> offset, mask;  // at the chunk's first image
};

/// Computes one lane's share of a sample: the dot products of column gradient and corner over its
/// channels, and the columns.
template <int width, typename scalar_t, typename offset_t>
__device__ __forceinline__ void walk_channels(const Chunk<scalar_t, offset_t>& chunk,
                                              const SharedTap<acc_type<scalar_t>>& tap, int lane,
                                              int lanes, const scalar_t* __restrict__ grad_columns,
                                              scalar_t* columns, bool with_dots,
                                              acc_type<scalar_t> (&dots)[4]) {
  for (int c = lane * width; c < chunk.shape.per_offset_group; c += lanes * width) {
    const int channel = tap.channel + c;
    const int64_t column = column_index(chunk.shape, chunk.count, tap.column, channel);
    Pack<scalar_t, width> grad{};
    if (with_dots) grad = load<scalar_t, width>(grad_columns + column);
    acc_type<scalar_t> sum[width] = {};
    for_tap<width>(chunk, tap, channel, [&](int which, const auto& values) {
      if (with_dots) add_dot(dots[which], grad, values);
      if (columns) add_scaled(sum, tap.weight[which], values);
    });
    if (columns) store(columns + column, packed<scalar_t>(sum));
  }
}

/// Adds one lane's share of a sample's column gradients to the image gradient.
template <int width, typename scalar_t, typename offset_t>
__device__ __forceinline__ void scatter_channels(const Chunk<scalar_t, offset_t>& chunk,
                                                 const SharedTap<acc_type<scalar_t>>& tap, int lane,
                                                 int lanes,
                                                 const scalar_t* __restrict__ grad_columns,
                                                 acc_type<scalar_t>* image) {
  const Shape& shape = chunk.shape;
  image += int64_t(tap.image) * shape.height * shape.width * shape.channels;
  for (int c = lane * width; c < shape.per_offset_group; c += lanes * width) {
    const int channel = tap.channel + c;
    const auto grad =
        load<scalar_t, width>(grad_columns + column_index(shape, chunk.count, tap.column, channel));
    scatter(tap, grad, image + channel, shape.channels);
  }
}

/// Computes the gradients of offset, mask and image, and the columns, from the gradient of the
/// columns, in one loop over the samples. The gradients of offset and mask need four dot products
/// over channels, one for each corner; the lanes of a sample add them up before one lane writes.
template <typename scalar_t, typename offset_t, int width>
__global__ void __launch_bounds__(kThreads, kBlocksPerSM)
    column_gradients_kernel(const Chunk<scalar_t, offset_t> chunk, const SampleGrid grid,
                            const int lanes, const scalar_t* __restrict__ grad_columns,
                            const Destinations<scalar_t, offset_t> to) {
  using acc_t = acc_type<scalar_t>;
  __shared__ SharedTap<acc_t> taps[kSamplesPerBlock];
  __shared__ acc_t all_dots[kSamplesPerBlock][4];
  const BlockSamples<scalar_t, offset_t> samples(chunk, grid);
  const int thread = threadIdx.x, lane = thread % lanes;
  share_taps(chunk, samples, taps);

  const bool with_dots = to.offset.data || to.mask.data;
  const unsigned together = lanes_together(thread, lanes);
  for (int i = thread / lanes; i < samples.count(); i += kThreads / lanes) {
    const SharedTap<acc_t>& tap = taps[i];
    if (tap.column < 0) continue;
    acc_t dots[4] = {};
    if (with_dots || to.columns)
      walk_channels<width>(chunk, tap, lane, lanes, grad_columns, to.columns, with_dots, dots);
    if (with_dots) {
      sum_over_lanes(dots, lanes, together);
      if (lane == 0)
#pragma unroll
        for (int which = 0; which < 4; ++which) all_dots[i][which] = dots[which];
    }
    if (to.image)
      scatter_channels<kAtomicWidth<acc_t, width>>(chunk, tap, lane, lanes, grad_columns, to.image);
  }
  if (!with_dots) return;
  __syncthreads();

  if (thread >= samples.count() || taps[thread].column < 0) return;
  // Locates the sample again, which is cheaper than keeping it in registers.
  const SampleIndex at = samples.at(chunk, thread);
  const auto [sample, mask] = locate_tap(chunk, at);
  const acc_t(&dot)[4] = all_dots[thread];
  const bool outside = sample.outside();
  if (to.offset.data) {
    offset_t* out = element(to.offset, at, 2 * int64_t(at.channel));
    const acc_t dy = value_dy(sample, mask, dot[0], dot[1], dot[2], dot[3]),
                dx = value_dx(sample, mask, dot[0], dot[1], dot[2], dot[3]);
    out[0] = static_cast<offset_t>(outside ? acc_t(0) : dy);
    out[to.offset.c] = static_cast<offset_t>(outside ? acc_t(0) : dx);
  }
  if (to.mask.data) {
    const acc_t dm = value(sample, dot[0], dot[1], dot[2], dot[3]);
    *element(to.mask, at, at.channel) = static_cast<offset_t>(outside ? acc_t(0) : dm);
  }
}

/// Whether a chunk and buffers of columns can be read and written in 16-byte vectors of channels.
template <typename scalar_t, typename offset_t, typename... Columns>
bool use_vectors(const Chunk<scalar_t, offset_t>& chunk, const Columns*... columns) {
  return vectorizable(chunk.image, chunk.image_stride, chunk.pixel, chunk.shape.per_offset_group,
                      chunk.shape.per_group) &&
         (vectorizable(columns) && ...);
}

template <typename scalar_t, typename offset_t>
cudaError_t gather_columns(const Chunk<scalar_t, offset_t>& chunk, scalar_t* columns,
                           cudaStream_t stream) {
  constexpr int width = kVectorWidth<scalar_t>;
  const SampleGrid grid = sample_grid(chunk.count, chunk.shape.sample_channels());
  const bool vectors = use_vectors(chunk, columns);
  const auto kernel = vectors ? DCNBUILD_GLOBAL(gather_columns_kernel, scalar_t, offset_t, width)
                              : DCNBUILD_GLOBAL(gather_columns_kernel, scalar_t, offset_t, 1);
  const int lanes = lanes_per_sample(chunk.shape.per_offset_group / (vectors ? width : 1));
  return launch(kernel, grid.blocks(), stream, chunk, grid, lanes, columns);
}

template <typename scalar_t, typename offset_t>
cudaError_t column_gradients(const Chunk<scalar_t, offset_t>& chunk, const scalar_t* grad_columns,
                             const Destinations<scalar_t, offset_t>& to, cudaStream_t stream) {
  constexpr int width = kVectorWidth<scalar_t>;
  const SampleGrid grid = sample_grid(chunk.count, chunk.shape.sample_channels());
  const bool vectors = use_vectors(chunk, grad_columns, to.columns, to.image);
  const auto kernel = vectors ? DCNBUILD_GLOBAL(column_gradients_kernel, scalar_t, offset_t, width)
                              : DCNBUILD_GLOBAL(column_gradients_kernel, scalar_t, offset_t, 1);
  const int lanes = lanes_per_sample(chunk.shape.per_offset_group / (vectors ? width : 1));
  return launch(kernel, grid.blocks(), stream, chunk, grid, lanes, grad_columns, to);
}

}  // namespace dcnbuild::cuda
