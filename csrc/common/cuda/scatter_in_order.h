// The host side of the deterministic route: sorted_scatter.cuh with torch's sort and memory.
#pragma once

#include "common/cuda/sorted_scatter.cuh"
#include "common/cuda/workspace.h"

namespace dcnbuild::cuda {

/// Adds the gradients of samples to the gradient of an image, always in the same order.
/// `write_keys(keys, weights)` launches a kernel that writes 4 keys and weights for every sample.
template <typename Source, typename F>
void scatter_in_order(int64_t samples, int channels, const Source& source,
                      acc_type<typename Source::scalar_t>* image, const F& write_keys,
                      const Tensor& like, cudaStream_t stream) {
  using acc_t = acc_type<typename Source::scalar_t>;
  const int64_t count = 4 * samples;
  const Tensor keys = empty({count}, ScalarType::Int, like);
  const Tensor weights = empty({count}, dtype_of<acc_t>, like);
  auto* weight = static_cast<acc_t*>(weights.data_ptr());
  DCNBUILD_CUDA_CHECK(write_keys(static_cast<int32_t*>(keys.data_ptr()), weight));
  const auto [sorted, order] = stable_sort(keys);
  const SortedCorners<acc_t> corners{static_cast<const int32_t*>(sorted.data_ptr()),
                                     static_cast<const int64_t*>(order.data_ptr()), weight,
                                     static_cast<int>(count)};
  const Tensor partial = empty({corners.tiles(), channels}, dtype_of<acc_t>, like);
  DCNBUILD_CUDA_CHECK(scatter_sorted(source, channels, corners, image,
                                     static_cast<acc_t*>(partial.data_ptr()), stream));
}

}  // namespace dcnbuild::cuda
