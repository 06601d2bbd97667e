// The host side of the deterministic route: sorted_scatter.cuh with torch's sort and memory.
#pragma once

#include "common/cuda/sorted_scatter.cuh"
#include "common/cuda/workspace.h"

namespace dcnbuild::cuda {

/// Adds the gradients of samples to the gradient of an image of so many cells, always in the same
/// order. `write_keys(keys, weights)` launches a kernel that writes 4 keys and weights for every
/// sample.
template <typename Source, typename F>
void scatter_in_order(int64_t samples, int64_t cells, int channels, const Source& source,
                      acc_type<typename Source::scalar_t>* image, const F& write_keys,
                      const Tensor& like, cudaStream_t stream) {
  using acc_t = acc_type<typename Source::scalar_t>;
  const int64_t count = 4 * samples;
  const bool narrow = cells <= kNarrowCells;
  const Scratch<int16_t> memory(narrow ? count : 2 * count, like);
  const Scratch<acc_t> weights(count, like);
  DCNBUILD_CUDA_CHECK(write_keys(Keys{memory.data(), narrow}, weights.data()));
  const auto [sorted, order] =
      stable_sort(narrow ? memory.tensor(like)
                         : tensor_over<int32_t, 1>(reinterpret_cast<int32_t*>(memory.data()),
                                                   {count}, {1}, like));
  const SortedCorners<acc_t> corners{Keys{sorted.data_ptr(), narrow},
                                     static_cast<const int64_t*>(order.data_ptr()), weights.data(),
                                     static_cast<int>(count)};
  const Scratch<acc_t> partial(int64_t(corners.tiles()) * channels, like);
  DCNBUILD_CUDA_CHECK(scatter_sorted(source, channels, corners, image, partial.data(), stream));
}

}  // namespace dcnbuild::cuda
