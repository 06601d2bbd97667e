// The four corners of a sample, as every kernel that samples by channels reads and writes them. No
// torch header.
//
// What depends on the sample alone (where it falls, its weights) is computed once by one thread and
// shared, in SharedCorners, by the lanes that run over its channels.
#pragma once

#include "common/cuda/launch.cuh"
#include "common/sampling.h"

namespace dcnbuild::cuda {

/// A sample of an image and what it is multiplied by.
template <typename acc_t>
struct Tap {
  Sample<acc_t> sample;
  acc_t mask;
};

/// What threads share about one sample.
template <typename acc_t>
struct alignas(16) SharedCorners {
  acc_t weight[4];  // of the four corners, mask included
  int corner[4];    // their pixels, first + y * width + x; -1 outside the image

  __device__ __forceinline__ void set(const Tap<acc_t>& tap, int first, int width) {
    const Sample<acc_t>& sample = tap.sample;
    for (int which = 0; which < 4; ++which) {
      weight[which] = sample.weight(which) * tap.mask;
      corner[which] = sample.has(which) ? first + sample.y(which) * width + sample.x(which) : -1;
    }
  }
};

/// Calls use(which, values) for each corner of a sample, with a vector of channels; zero outside
/// the image. `image` is its first pixel at the channel; pixels are `pixel` elements apart.
template <int width, typename scalar_t, typename F>
__device__ __forceinline__ void for_corners(const scalar_t* image,
                                            const SharedCorners<acc_type<scalar_t>>& at,
                                            int64_t pixel, const F& use) {
#pragma unroll
  for (int which = 0; which < 4; ++which) {
    Pack<scalar_t, width> values{};
    if (at.corner[which] >= 0) values = load<scalar_t, width>(image + at.corner[which] * pixel);
    use(which, values);
  }
}

/// sum += weight * values: for all corners, the modulated sample. A corner outside counts too,
/// times zero, so that a NaN mask shows.
template <typename scalar_t, int width>
__device__ __forceinline__ void add_scaled(acc_type<scalar_t> (&sum)[width],
                                           acc_type<scalar_t> weight,
                                           const Pack<scalar_t, width>& values) {
#pragma unroll
  for (int j = 0; j < width; ++j)
    sum[j] += weight * static_cast<acc_type<scalar_t>>(values.values[j]);
}

/// dot += the product with the upstream gradient, summed over these channels.
template <typename scalar_t, int width>
__device__ __forceinline__ void add_dot(acc_type<scalar_t>& dot, const Pack<scalar_t, width>& grad,
                                        const Pack<scalar_t, width>& values) {
  using acc_t = acc_type<scalar_t>;
#pragma unroll
  for (int j = 0; j < width; ++j)
    dot += static_cast<acc_t>(grad.values[j]) * static_cast<acc_t>(values.values[j]);
}

/// sum as scalar_t, which is rounded here alone.
template <typename scalar_t, int width>
__device__ __forceinline__ Pack<scalar_t, width> packed(const acc_type<scalar_t> (&sum)[width]) {
  Pack<scalar_t, width> out;
#pragma unroll
  for (int j = 0; j < width; ++j) out.values[j] = static_cast<scalar_t>(sum[j]);
  return out;
}

/// Adds a sample's gradient, for a vector of channels, to its corners in the gradient of the image.
template <typename scalar_t, int width>
__device__ __forceinline__ void scatter(const SharedCorners<acc_type<scalar_t>>& at,
                                        const Pack<scalar_t, width>& grad,
                                        acc_type<scalar_t>* image, int pixel) {
  using acc_t = acc_type<scalar_t>;
#pragma unroll
  for (int which = 0; which < 4; ++which) {
    if (at.corner[which] < 0) continue;
    acc_t values[width];
#pragma unroll
    for (int j = 0; j < width; ++j)
      values[j] = at.weight[which] * static_cast<acc_t>(grad.values[j]);
    atomic_add(image + int64_t(at.corner[which]) * pixel, values);
  }
}

constexpr unsigned kWholeWarp = 0xffffffffu;

/// The mask of the `lanes` threads of this warp that share a sample: all of them, and no others,
/// shuffle together.
__device__ __forceinline__ unsigned lanes_together(int thread, int lanes) {
  return (kWholeWarp >> (32 - lanes)) << (thread % 32 - thread % lanes);
}

/// The sums, in every one of the lanes that share a sample, of what each of them has. `together`
/// are the threads that call this: lanes_together, or the whole warp.
template <typename acc_t>
__device__ __forceinline__ void sum_over_lanes(acc_t (&dots)[4], int lanes, unsigned together) {
  for (int step = lanes / 2; step > 0; step /= 2)
#pragma unroll
    for (int which = 0; which < 4; ++which)
      dots[which] += __shfl_xor_sync(together, dots[which], step);
}

}  // namespace dcnbuild::cuda
