// Prepares a chunk for the sorted scatter: gives the pixel of each corner, and the place of a
// sample's gradient in the columns. No torch header.
#pragma once

#include "common/cuda/sorted_scatter.cuh"
#include "deform_conv2d/cuda/chunk.cuh"

namespace dcnbuild::cuda {

/// Writes, for each sample and corner, its pixel and offset group as one key, and its weight.
/// Samples are [position][sample channel].
template <typename scalar_t, typename offset_t>
__global__ void __launch_bounds__(kThreads)
    corner_keys_kernel(const Chunk<scalar_t, offset_t> chunk, const Keys keys,
                       acc_type<scalar_t>* __restrict__ weights) {
  const Shape& shape = chunk.shape;
  const unsigned index = blockIdx.x * unsigned(kThreads) + threadIdx.x;
  const unsigned position = index / unsigned(shape.sample_channels());
  if (position >= unsigned(chunk.count)) return;
  const SampleIndex at =
      sample_index(chunk, int(position), int(index - position * unsigned(shape.sample_channels())));
  store_keys(locate_tap(chunk, at), index, at.image * shape.height * shape.width, shape.width,
             shape.offset_groups, at.offset_group, keys, weights);
}

/// The gradients of the columns of `positions` positions, as a source for scatter_sorted.
template <typename T>
struct ColumnGradients {
  using scalar_t = T;

  Shape shape;
  int positions;
  const scalar_t* grad_columns;

  __device__ __forceinline__ const scalar_t* operator()(unsigned sample, int channel) const {
    const unsigned position = sample / unsigned(shape.sample_channels());
    const int sample_channel = int(sample - position * unsigned(shape.sample_channels()));
    const int group = int(unsigned(sample_channel) / unsigned(shape.taps));
    const int column = int(position) * shape.taps + sample_channel - group * shape.taps;
    return grad_columns +
           column_index(shape, positions, column, group * shape.per_offset_group + channel);
  }
  bool vectors() const {
    return vectorizable(grad_columns, shape.per_offset_group, shape.per_group);
  }
};

template <typename scalar_t, typename offset_t>
cudaError_t corner_keys(const Chunk<scalar_t, offset_t>& chunk, const Keys& keys,
                        acc_type<scalar_t>* weights, cudaStream_t stream) {
  return launch(DCNBUILD_GLOBAL(corner_keys_kernel, scalar_t, offset_t),
                ceil_div(chunk.samples(), kThreads), stream, chunk, keys, weights);
}

}  // namespace dcnbuild::cuda
