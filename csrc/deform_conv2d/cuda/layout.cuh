// Copies tensors between memory layouts and dtypes. No torch header.
#pragma once

#include "common/cuda/launch.cuh"
#include "deform_conv2d/geometry.h"

namespace dcnbuild::cuda {

/// Rows and columns of the tile that a block transposes in shared memory: one warp each way.
constexpr int kCopyTile = 32;

/// The range to copy: `positions` of each image. Positions are y * width + x; they begin at
/// different places on the two sides.
struct CopyShape {
  int channels, positions, width;
  int from_begin, to_begin;

  DCNBUILD_HD unsigned channel_tiles() const {
    return unsigned(channels + kCopyTile - 1) / kCopyTile;
  }
  DCNBUILD_HD unsigned position_tiles() const {
    return unsigned(positions + kCopyTile - 1) / kCopyTile;
  }
};

/// One side of a copy: whether channels or positions are neighbours in memory, and the place of an
/// element.
template <typename T>
__device__ __forceinline__ bool along_positions(const View4<T>& view) {
  return view.w <= view.c;
}

template <typename T>
__device__ __forceinline__ T* element_at(const View4<T>& view, int n, int channel, int position,
                                         int width) {
  const int y = int(unsigned(position) / unsigned(width)), x = position - y * width;
  return view.data + n * view.n + channel * view.c + y * view.h + x * view.w;
}

/// to = from, element by element; each side is accessed in the order of its own memory.
template <typename From, typename To>
__global__ void __launch_bounds__(kThreads)
    copy_layout_kernel(const CopyShape shape, const View4<const From> from, const View4<To> to) {
  __shared__ To
      tile[kCopyTile][kCopyTile + 1];  // [channel][position]; padded against bank conflicts
  const unsigned row_of_tiles = blockIdx.x / shape.position_tiles();
  const int position = int(blockIdx.x - row_of_tiles * shape.position_tiles()) * kCopyTile;
  const int n = int(row_of_tiles / shape.channel_tiles());
  const int channel = int(row_of_tiles - unsigned(n) * shape.channel_tiles()) * kCopyTile;
  const int lane = threadIdx.x % kCopyTile;
  const bool from_positions = along_positions(from), to_positions = along_positions(to);
  for (int row = threadIdx.x / kCopyTile; row < kCopyTile; row += kThreads / kCopyTile) {
    const int c = from_positions ? row : lane, p = from_positions ? lane : row;
    if (channel + c < shape.channels && position + p < shape.positions)
      tile[c][p] = static_cast<To>(
          *element_at(from, n, channel + c, shape.from_begin + position + p, shape.width));
  }
  __syncthreads();
  for (int row = threadIdx.x / kCopyTile; row < kCopyTile; row += kThreads / kCopyTile) {
    const int c = to_positions ? row : lane, p = to_positions ? lane : row;
    if (channel + c < shape.channels && position + p < shape.positions)
      *element_at(to, n, channel + c, shape.to_begin + position + p, shape.width) = tile[c][p];
  }
}

/// to = from for `images` of [n][c][h][w].
template <typename From, typename To>
cudaError_t copy_layout(int64_t images, const CopyShape& shape, const View4<const From>& from,
                        const View4<To>& to, cudaStream_t stream) {
  return launch(DCNBUILD_GLOBAL(copy_layout_kernel, From, To),
                images * shape.channel_tiles() * shape.position_tiles(), stream, shape, from, to);
}

/// sum += part.
template <typename scalar_t, typename acc_t>
__global__ void __launch_bounds__(kThreads)
    accumulate_kernel(const int64_t count, const scalar_t* __restrict__ part,
                      acc_t* __restrict__ sum) {
  const int64_t index = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (index < count) sum[index] += static_cast<acc_t>(part[index]);
}

template <typename scalar_t, typename acc_t>
cudaError_t accumulate(int64_t count, const scalar_t* part, acc_t* sum, cudaStream_t stream) {
  return launch(DCNBUILD_GLOBAL(accumulate_kernel, scalar_t, acc_t), ceil_div(count, kThreads),
                stream, count, part, sum);
}

}  // namespace dcnbuild::cuda
