// What the sorted scatter needs to know of a chunk of samples: which pixel and head each corner
// falls on, and where the gradient of a sample stands. No torch header.
#pragma once

#include "common/cuda/sorted_scatter.cuh"
#include "deform_attn/cuda/kernels.cuh"

namespace dcnbuild::cuda {

/// Samples [begin, begin + count) of a pass, in the order [image][query][head][sample].
struct AttnChunk {
  unsigned first;   // begin's query and head, in [image][query][head]
  unsigned before;  // samples of that query and head that come before begin
  int count;

  AttnChunk(const AttnShape& shape, int64_t begin, int64_t count)
      : first(unsigned(begin / shape.samples)),
        before(unsigned(begin % shape.samples)),
        count(int(count)) {}

  /// The query and head of a sample of the chunk.
  DCNBUILD_HD AttnPlace place(const AttnShape& shape, unsigned index) const {
    const unsigned place = first + (before + index) / unsigned(shape.samples);
    const unsigned row = place / unsigned(shape.heads);
    const int image = int(row / unsigned(shape.queries));
    return {image, int(row - unsigned(image) * unsigned(shape.queries)),
            int(place - row * unsigned(shape.heads))};
  }
};

/// For each sample and corner of the chunk: its pixel and head as one key, and its weight.
template <typename scalar_t, typename offset_t>
__global__ void __launch_bounds__(kThreads)
    attn_keys_kernel(const AttnCall<scalar_t, offset_t> call, const AttnChunk chunk,
                     const Keys keys, acc_type<scalar_t>* __restrict__ weights) {
  const AttnShape& shape = call.shape;
  const unsigned index = blockIdx.x * unsigned(kThreads) + threadIdx.x;
  if (index >= unsigned(chunk.count)) return;
  const AttnPlace at = chunk.place(shape, index);
  const auto found = locate(call, at, int((chunk.before + index) % unsigned(shape.samples)));
  store_keys(found.tap, index, at.image * shape.pixels + found.level.start, found.level.width,
             shape.heads, at.head, keys, weights);
}

template <typename scalar_t, typename offset_t>
cudaError_t attn_keys(const AttnCall<scalar_t, offset_t>& call, const AttnChunk& chunk,
                      const Keys& keys, acc_type<scalar_t>* weights, cudaStream_t stream) {
  return launch(DCNBUILD_GLOBAL(attn_keys_kernel, scalar_t, offset_t),
                ceil_div(chunk.count, kThreads), stream, call, chunk, keys, weights);
}

/// The gradient of the output, as scatter_sorted finds that of a sample.
template <typename T>
struct QueryGradients {
  using scalar_t = T;

  AttnShape shape;
  AttnChunk chunk;
  QueryView<const T> grad_output;

  __device__ __forceinline__ const T* operator()(unsigned sample, int channel) const {
    return grad_output.at(shape, chunk.place(shape, sample)) + channel;
  }
  bool vectors() const {
    return vectorizable(grad_output.data, grad_output.n, grad_output.query, shape.channels);
  }
};

}  // namespace dcnbuild::cuda
