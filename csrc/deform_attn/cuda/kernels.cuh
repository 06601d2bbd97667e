// The two kernels that do the work: the output, and the gradients. No torch header.
#pragma once

#include "deform_attn/cuda/samples.cuh"

namespace dcnbuild::cuda {

/// A tensor of [image][query][head and channel], of which the last are side by side.
template <typename T>
struct QueryView {
  T* data;
  int64_t n, query;

  DCNBUILD_HD T* at(const AttnShape& shape, const AttnPlace& place) const {
    return data + place.image * n + place.query * query + int64_t(place.head) * shape.channels;
  }
};

template <typename scalar_t>
DCNBUILD_HD const scalar_t* value_of(const ValueView<const scalar_t>& value, const AttnPlace& at) {
  return value.data + at.image * value.n + at.head * value.head;
}

/// output = samples times weights, summed. A lane has one vector of channels; where there are more
/// vectors than lanes, a query and head is several groups, one for each slice of the channels.
template <typename scalar_t, typename offset_t, int width>
__global__ void __launch_bounds__(kThreads, kBlocksPerSM)
    attn_kernel(const AttnCall<scalar_t, offset_t> call, const int lanes, const int slices,
                const QueryView<scalar_t> output) {
  using acc_t = acc_type<scalar_t>;
  __shared__ SharedCorners<acc_t> taps[kThreads];
  const int thread = threadIdx.x, lane = thread % lanes;
  SharedCorners<acc_t>* shared = taps + (thread - lane);
  const AttnGroup at(call.shape, lanes, slices);
  const int channel = (at.slice * lanes + lane) * width;
  const bool has_channel = at.exists(call.shape) && channel < call.shape.channels;
  const scalar_t* value = value_of(call.value, at) + channel;
  acc_t sum[width] = {};
  for (int begin = 0; begin < call.shape.samples; begin += lanes) {
    const int count = share_samples(call, at, begin, lanes, lane, shared);
    if (has_channel)
      for (int i = 0; i < count; ++i)
        for_corners<width>(value, shared[i], call.value.pixel, [&](int which, const auto& values) {
          add_scaled(sum, shared[i].weight[which], values);
        });
    __syncwarp();  // before the next samples take the place of these
  }
  if (has_channel) store(output.at(call.shape, at) + channel, packed<scalar_t>(sum));
}

/// What the gradient kernel writes, contiguous; what is null is left out.
template <typename scalar_t, typename offset_t>
struct AttnDestinations {
  acc_type<scalar_t>* value;  // added to
  offset_t *locations, *weights;
};

/// Writes the gradients of a sample's location and weight, from the four dot products.
template <typename scalar_t, typename offset_t>
__device__ __forceinline__ void store_sample_gradients(
    const AttnCall<scalar_t, offset_t>& call, const AttnPlace& at, int index,
    const acc_type<scalar_t> (&dot)[4], const AttnDestinations<scalar_t, offset_t>& to) {
  using acc_t = acc_type<scalar_t>;
  // Located once more: cheaper than keeping it in registers all the way.
  const auto found = locate(call, at, index);
  const auto& [sample, weight] = found.tap;
  const bool outside = sample.outside();
  const int64_t element = int64_t(at.index(call.shape)) * call.shape.samples + index;
  if (to.locations) {
    const acc_t dy = value_dy(sample, weight, dot[0], dot[1], dot[2], dot[3]),
                dx = value_dx(sample, weight, dot[0], dot[1], dot[2], dot[3]);
    to.locations[2 * element] = static_cast<offset_t>(outside ? acc_t(0) : dx * found.scale_x);
    to.locations[2 * element + 1] = static_cast<offset_t>(outside ? acc_t(0) : dy * found.scale_y);
  }
  if (to.weights) {
    const acc_t dw = value(sample, dot[0], dot[1], dot[2], dot[3]);
    to.weights[element] = static_cast<offset_t>(outside ? acc_t(0) : dw);
  }
}

/// From the gradient of the output: those of value, locations and weights in one walk over the
/// samples. Locations and weights get four dot products over channels, one for each corner, reduced
/// among the lanes of a group before anything is written.
template <typename scalar_t, typename offset_t, int width>
__global__ void __launch_bounds__(kThreads, kBlocksPerSM)
    attn_gradients_kernel(const AttnCall<scalar_t, offset_t> call, const int lanes,
                          const QueryView<const scalar_t> grad_output,
                          const AttnDestinations<scalar_t, offset_t> to) {
  using acc_t = acc_type<scalar_t>;
  constexpr int atomic_width = kAtomicWidth<acc_t, width>;
  __shared__ SharedCorners<acc_t> taps[kThreads];
  // Of the sample that each thread located; no other thread reads them, but registers are scarce.
  __shared__ acc_t own_dots[kThreads][4];
  const int thread = threadIdx.x, lane = thread % lanes;
  SharedCorners<acc_t>* shared = taps + (thread - lane);
  const bool with_dots = to.locations || to.weights;
  const AttnShape& shape = call.shape;
  const AttnGroup at(shape, lanes, 1);
  const int channels = at.exists(shape) ? shape.channels : 0;
  const scalar_t* grad = grad_output.at(shape, at);
  for (int begin = 0; begin < shape.samples; begin += lanes) {
    const int count = share_samples(call, at, begin, lanes, lane, shared);
    for (int i = 0; i < count; ++i) {
      if (with_dots) {
        acc_t dots[4] = {};
        for (int c = lane * width; c < channels; c += lanes * width) {
          const auto upstream = load<scalar_t, width>(grad + c);
          for_corners<width>(
              value_of(call.value, at) + c, shared[i], call.value.pixel,
              [&](int which, const auto& values) { add_dot(dots[which], upstream, values); });
        }
        sum_over_lanes(dots, lanes, kWholeWarp);
        if (i == lane)
#pragma unroll
          for (int which = 0; which < 4; ++which) own_dots[thread][which] = dots[which];
      }
      if (to.value) {
        acc_t* image = to.value + int64_t(at.image) * shape.pixels * shape.pixel_size() +
                       at.head * shape.channels;
        for (int c = lane * atomic_width; c < channels; c += lanes * atomic_width)
          scatter(shared[i], load<scalar_t, atomic_width>(grad + c), image + c, shape.pixel_size());
      }
    }
    if (with_dots && at.exists(call.shape) && lane < count)
      store_sample_gradients(call, at, begin + lane, own_dots[thread], to);
    __syncwarp();  // before the next samples take the place of these
  }
}

/// Whether a head's channels can be walked in 16-byte vectors.
template <typename scalar_t, typename offset_t, typename View>
bool use_vectors(const AttnCall<scalar_t, offset_t>& call, const View& of_queries,
                 const void* sums = nullptr) {
  const ValueView<const scalar_t>& value = call.value;
  return vectorizable(value.data, value.n, value.pixel, value.head, call.shape.channels) &&
         vectorizable(of_queries.data, of_queries.n, of_queries.query) &&
         vectorizable(static_cast<const double*>(sums));
}

/// The blocks of `groups` groups for each query and head of a pass.
inline int64_t attn_blocks(const AttnShape& shape, int lanes, int64_t groups) {
  return ceil_div(int64_t(shape.images) * shape.queries * shape.heads * groups, kThreads / lanes);
}

template <typename scalar_t, typename offset_t>
cudaError_t attend(const AttnCall<scalar_t, offset_t>& call, const QueryView<scalar_t>& output,
                   cudaStream_t stream) {
  constexpr int full = kVectorWidth<scalar_t>;
  const bool vectors = use_vectors(call, output);
  const auto kernel = vectors ? DCNBUILD_GLOBAL(attn_kernel, scalar_t, offset_t, full)
                              : DCNBUILD_GLOBAL(attn_kernel, scalar_t, offset_t, 1);
  const int64_t each = call.shape.channels / (vectors ? full : 1);
  const int lanes = lanes_per_sample(each);
  const int slices = static_cast<int>(ceil_div(each, lanes));
  return launch(kernel, attn_blocks(call.shape, lanes, slices), stream, call, lanes, slices,
                output);
}

template <typename scalar_t, typename offset_t>
cudaError_t attn_gradients(const AttnCall<scalar_t, offset_t>& call,
                           const QueryView<const scalar_t>& grad_output,
                           const AttnDestinations<scalar_t, offset_t>& to, cudaStream_t stream) {
  constexpr int full = kVectorWidth<scalar_t>;
  const bool vectors = use_vectors(call, grad_output, to.value);
  const auto kernel = vectors ? DCNBUILD_GLOBAL(attn_gradients_kernel, scalar_t, offset_t, full)
                              : DCNBUILD_GLOBAL(attn_gradients_kernel, scalar_t, offset_t, 1);
  const int lanes = lanes_per_sample(call.shape.channels / (vectors ? full : 1));
  return launch(kernel, attn_blocks(call.shape, lanes, 1), stream, call, lanes, grad_output, to);
}

}  // namespace dcnbuild::cuda
