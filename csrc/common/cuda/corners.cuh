// Reads and writes the four corners of a sample, for every kernel whose lanes run over channels. No
// torch header.
//
// One thread computes the values that do not depend on the channel: the sample's position and
// weights. The lanes that run over its channels share them in SharedCorners.
#pragma once

#include "common/cuda/launch.cuh"
#include "common/sampling.h"

namespace dcnbuild::cuda {

/// A sample of an image, and its factor.
template <typename acc_t>
struct Tap {
  Sample<acc_t> sample;
  acc_t mask;
};

/// The values of one sample that threads share.
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

/// sum += weight * values; over all corners, this gives the modulated sample. A corner outside
/// counts as zero, so that a NaN mask gives NaN.
template <typename scalar_t, int width>
__device__ __forceinline__ void add_scaled(acc_type<scalar_t> (&sum)[width],
                                           acc_type<scalar_t> weight,
                                           const Pack<scalar_t, width>& values) {
#pragma unroll
  for (int j = 0; j < width; ++j)
    sum[j] += weight * static_cast<acc_type<scalar_t>>(values.values[j]);
}

/// dot += the product of corner and upstream gradient, summed over these channels.
template <typename scalar_t, int width>
__device__ __forceinline__ void add_dot(acc_type<scalar_t>& dot, const Pack<scalar_t, width>& grad,
                                        const Pack<scalar_t, width>& values) {
  using acc_t = acc_type<scalar_t>;
#pragma unroll
  for (int j = 0; j < width; ++j)
    dot += static_cast<acc_t>(grad.values[j]) * static_cast<acc_t>(values.values[j]);
}

/// Rounds sum to scalar_t; no other step rounds.
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

/// The mask of the `lanes` threads of this warp that share a sample; exactly these shuffle
/// together.
__device__ __forceinline__ unsigned lanes_together(int thread, int lanes) {
  return (kWholeWarp >> (32 - lanes)) << (thread % 32 - thread % lanes);
}

/// Adds up the values of the lanes that share a sample; every lane gets the sums. `together` is the
/// mask of the threads that call this: lanes_together, or the whole warp.
template <typename acc_t>
__device__ __forceinline__ void sum_over_lanes(acc_t (&dots)[4], int lanes, unsigned together) {
  for (int step = lanes / 2; step > 0; step /= 2)
#pragma unroll
    for (int which = 0; which < 4; ++which)
      dots[which] += __shfl_xor_sync(together, dots[which], step);
}

}  // namespace dcnbuild::cuda
