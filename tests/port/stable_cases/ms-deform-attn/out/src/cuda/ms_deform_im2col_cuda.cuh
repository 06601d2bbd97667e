#include <algorithm>
#include <cstdio>

#include <math.h>
#include <cstdint>
#include <cmath>

#define CUDA_KERNEL_LOOP(i, n) \
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += blockDim.x * gridDim.x)

const int CUDA_NUM_THREADS = 1024;
inline int GET_BLOCKS(const int n) { return (n + CUDA_NUM_THREADS - 1) / CUDA_NUM_THREADS; }

template <typename scalar_t>
__device__ scalar_t sample(const scalar_t *data, int height, int width, int stride, scalar_t x, scalar_t y) {
  const int left = floor(x), top = floor(y);
  scalar_t sum = 0;
  for (int i = 0; i < 4; ++i) {
    const int column = left + i % 2, row = top + i / 2;
    if (column < 0 || column >= width || row < 0 || row >= height) continue;
    const scalar_t wx = i % 2 ? x - left : 1 - (x - left), wy = i / 2 ? y - top : 1 - (y - top);
    sum += wx * wy * data[(row * width + column) * stride];
  }
  return sum;
}

template <typename scalar_t>
__global__ void ms_deformable_im2col_kernel(
    const int n, const scalar_t *value, const int64_t *shapes, const int64_t *starts,
    const scalar_t *locations, const scalar_t *weights, const int keys, const int heads,
    const int channels, const int levels, const int queries, const int points, scalar_t *columns) {
  CUDA_KERNEL_LOOP(index, n) {
    const int channel = index % channels, item = index / channels;
    const int head = item % heads, batch = item / heads / queries;
    scalar_t sum = 0;
    for (int level = 0; level < levels; ++level) {
      const int height = shapes[2 * level], width = shapes[2 * level + 1];
      const scalar_t *data = value + ((batch * keys + starts[level]) * heads + head) * channels + channel;
      for (int point = 0; point < points; ++point) {
        const int at = (item * levels + level) * points + point;
        sum += weights[at] * sample(data, height, width, heads * channels, locations[2 * at] * width - scalar_t(0.5),
                                    locations[2 * at + 1] * height - scalar_t(0.5));
      }
    }
    columns[index] = sum;
  }
}

template <typename scalar_t>
__global__ void ms_deformable_col2im_kernel(
    const int n, const scalar_t *grad, const int64_t *shapes, const int64_t *starts,
    const scalar_t *locations, const scalar_t *weights, const int keys, const int heads,
    const int channels, const int levels, const int queries, const int points, scalar_t *grad_value) {
  CUDA_KERNEL_LOOP(index, n) {
    const int channel = index % channels, item = index / channels;
    const int head = item % heads, batch = item / heads / queries;
    for (int level = 0; level < levels; ++level) {
      const int height = shapes[2 * level], width = shapes[2 * level + 1];
      scalar_t *data = grad_value + ((batch * keys + starts[level]) * heads + head) * channels + channel;
      for (int point = 0; point < points; ++point) {
        const int at = (item * levels + level) * points + point;
        const scalar_t x = locations[2 * at] * width - scalar_t(0.5), y = locations[2 * at + 1] * height - scalar_t(0.5);
        const int left = floor(x), top = floor(y);
        for (int i = 0; i < 4; ++i) {
          const int column = left + i % 2, row = top + i / 2;
          if (column < 0 || column >= width || row < 0 || row >= height) continue;
          const scalar_t wx = i % 2 ? x - left : 1 - (x - left), wy = i / 2 ? y - top : 1 - (y - top);
          atomicAdd(data + (row * width + column) * heads * channels, weights[at] * wx * wy * grad[index]);
        }
      }
    }
  }
}

template <typename scalar_t>
void ms_deformable_im2col_cuda(
    cudaStream_t stream, const scalar_t *value, const int64_t *shapes, const int64_t *starts,
    const scalar_t *locations, const scalar_t *weights, const int batch, const int keys, const int heads,
    const int channels, const int levels, const int queries, const int points, scalar_t *columns) {
  const int n = batch * queries * heads * channels;
  ms_deformable_im2col_kernel<scalar_t><<<GET_BLOCKS(n), CUDA_NUM_THREADS, 0, stream>>>(
      n, value, shapes, starts, locations, weights, keys, heads, channels, levels, queries, points, columns);
  cudaError_t err = cudaGetLastError();
  if (err != cudaSuccess) printf("error in ms_deformable_im2col_cuda: %s\n", cudaGetErrorString(err));
}
