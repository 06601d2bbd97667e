// The CUDA kernels of deform_conv2d and their launchers, on raw pointers. No torch header: they
// compile in seconds, and the same source runs on the CPU under tests/emulator.
//
// A chunk is a range of output positions of one image. Its columns are
// [group][position][tap][channel of the group]. A sample is one (position, tap, offset group); what
// depends on the sample alone (where it falls, its weights, its mask) is computed once and shared
// by the threads that run over its channels.
#pragma once

#include "../deform_conv2d.h"
#include "../sampling.h"
#include "launch.cuh"

namespace dcnbuild::cuda {

/// Samples that a block works on: enough that computing them once is cheap beside their channels.
constexpr int kSamplesPerBlock = 64;

/// What a kernel needs to know of a chunk. `offset` and `mask` point at the image's first element;
/// `mask.data` may be null.
template <typename scalar_t, typename offset_t>
struct Chunk {
  Geometry g;
  const scalar_t* image;  // channels innermost: pixel (y, x) starts at y * row + x * pixel
  int64_t row, pixel;
  View4<const offset_t> offset, mask;
  int64_t begin, count;  // positions

  DCNBUILD_HD int64_t samples() const { return count * g.taps() * g.offset_groups; }
};

/// The place of sample number `index` of a chunk.
struct SampleIndex {
  int64_t position, tap, offset_group;  // position counts from the chunk's begin
  int64_t out_y, out_x;
};

template <typename scalar_t, typename offset_t>
DCNBUILD_HD SampleIndex sample_index(const Chunk<scalar_t, offset_t>& chunk, int64_t index) {
  const Geometry& g = chunk.g;
  SampleIndex at;
  at.offset_group = index % g.offset_groups;
  at.tap = index / g.offset_groups % g.taps();
  at.position = index / (g.offset_groups * g.taps());
  at.out_y = (chunk.begin + at.position) / g.out_width;
  at.out_x = (chunk.begin + at.position) % g.out_width;
  return at;
}

template <typename acc_t>
struct Tap {
  Sample<acc_t> sample;
  acc_t mask;
};

template <typename scalar_t, typename offset_t>
DCNBUILD_HD Tap<acc_type<scalar_t>> locate_tap(const Chunk<scalar_t, offset_t>& chunk,
                                               const SampleIndex& at) {
  using acc_t = acc_type<scalar_t>;
  const Geometry& g = chunk.g;
  const int64_t channel = at.offset_group * g.taps() + at.tap;
  const offset_t* o = chunk.offset.data + at.out_y * chunk.offset.h + at.out_x * chunk.offset.w;
  const acc_t y =
      acc_t(tap_origin(at.out_y, g.stride_h, g.padding_h, at.tap / g.kernel_w, g.dilation_h)) +
      static_cast<acc_t>(o[2 * channel * chunk.offset.c]);
  const acc_t x =
      acc_t(tap_origin(at.out_x, g.stride_w, g.padding_w, at.tap % g.kernel_w, g.dilation_w)) +
      static_cast<acc_t>(o[(2 * channel + 1) * chunk.offset.c]);
  Tap<acc_t> tap{sample_at(y, x, g.height, g.width), acc_t(1)};
  if (chunk.mask.data)
    tap.mask = static_cast<acc_t>(chunk.mask.data[channel * chunk.mask.c + at.out_y * chunk.mask.h +
                                                  at.out_x * chunk.mask.w]);
  return tap;
}

/// Where the columns of `channel` stand for a sample.
DCNBUILD_HD int64_t column_index(const Geometry& g, int64_t positions, const SampleIndex& at,
                                 int64_t channel) {
  const int64_t per_group = g.channels_per_group();
  const int64_t group = channel / per_group, within = channel % per_group;
  return ((group * positions + at.position) * g.taps() + at.tap) * per_group + within;
}

/// What the threads of a block share about one sample: its four corners and their weights, mask
/// included.
template <typename acc_t>
struct SharedTap {
  SampleIndex at;
  int64_t corner[4];  // element offset of the pixel; -1 outside the image
  acc_t weight[4];
};

/// Lets the block's first threads compute its samples; returns how many there are.
template <typename scalar_t, typename offset_t>
__device__ __forceinline__ int share_taps(const Chunk<scalar_t, offset_t>& chunk, int64_t row,
                                          int64_t pixel, SharedTap<acc_type<scalar_t>>* shared) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kSamplesPerBlock;
  const int64_t left = chunk.samples() - first;
  const int count = left < kSamplesPerBlock ? static_cast<int>(left) : kSamplesPerBlock;
  for (int i = threadIdx.x; i < count; i += kThreads) {
    SharedTap<acc_type<scalar_t>>& out = shared[i];
    out.at = sample_index(chunk, first + i);
    const auto tap = locate_tap(chunk, out.at);
    for (int which = 0; which < 4; ++which) {
      out.weight[which] = tap.sample.weight(which) * tap.mask;
      out.corner[which] =
          tap.sample.has(which) ? tap.sample.y(which) * row + tap.sample.x(which) * pixel : -1;
    }
  }
  __syncthreads();
  return count;
}

/// columns = modulated samples of the chunk.
template <typename scalar_t, typename offset_t, int width>
__global__ void __launch_bounds__(kThreads)
    gather_columns_kernel(const Chunk<scalar_t, offset_t> chunk, scalar_t* __restrict__ columns) {
  using acc_t = acc_type<scalar_t>;
  using Vector = Pack<scalar_t, width>;
  __shared__ SharedTap<acc_t> taps[kSamplesPerBlock];
  const int count = share_taps(chunk, chunk.row, chunk.pixel, taps);
  const int per_offset_group = static_cast<int>(chunk.g.channels_per_offset_group());
  const int vectors = per_offset_group / width;
  for (int64_t i = threadIdx.x; i < static_cast<int64_t>(count) * vectors; i += kThreads) {
    const SharedTap<acc_t>& tap = taps[i / vectors];
    const int64_t channel = tap.at.offset_group * per_offset_group + i % vectors * width;
    acc_t sum[width] = {};
    for (int which = 0; which < 4; ++which) {
      // Outside the image the pixel is zero; times the weight all the same, so that NaN shows.
      Vector pixel{};
      if (tap.corner[which] >= 0)
        pixel = *reinterpret_cast<const Vector*>(chunk.image + tap.corner[which] + channel);
      for (int j = 0; j < width; ++j)
        sum[j] += tap.weight[which] * static_cast<acc_t>(pixel.values[j]);
    }
    Vector out;
    for (int j = 0; j < width; ++j) out.values[j] = static_cast<scalar_t>(sum[j]);
    *reinterpret_cast<Vector*>(columns + column_index(chunk.g, chunk.count, tap.at, channel)) = out;
  }
}

/// The lanes of a warp that share one sample in tap_gradients: a power of two, no more than there
/// are vectors.
inline int lanes_per_sample(int64_t vectors) {
  int lanes = 1;
  while (lanes < 32 && lanes < vectors) lanes *= 2;
  return lanes;
}

/// Gradients of offset and mask: four dot products over channels, reduced within a group of lanes
/// before anything is written. Either destination may have no data; both point at the image's first
/// element.
template <typename scalar_t, typename offset_t, int width>
__global__ void __launch_bounds__(kThreads)
    tap_gradients_kernel(const Chunk<scalar_t, offset_t> chunk,
                         const scalar_t* __restrict__ grad_columns, int lanes,
                         const View4<offset_t> grad_offset, const View4<offset_t> grad_mask) {
  using acc_t = acc_type<scalar_t>;
  using Vector = Pack<scalar_t, width>;
  const Geometry& g = chunk.g;
  const int lane = threadIdx.x % lanes;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * (kThreads / lanes) + threadIdx.x / lanes;
  // Lanes beyond the last sample stay for the shuffles, and read nothing.
  const bool active = index < chunk.samples();
  const SampleIndex at = sample_index(chunk, active ? index : 0);
  const Tap<acc_t> tap = locate_tap(chunk, at);
  const Sample<acc_t>& s = tap.sample;
  const int64_t first = at.offset_group * g.channels_per_offset_group();
  acc_t sums[4] = {};
  for (int64_t c = lane * width; active && c < g.channels_per_offset_group(); c += lanes * width) {
    const Vector grad = *reinterpret_cast<const Vector*>(
        grad_columns + column_index(g, chunk.count, at, first + c));
    for (int which = 0; which < 4; ++which) {
      if (!s.has(which)) continue;
      const Vector pixel = *reinterpret_cast<const Vector*>(chunk.image + s.y(which) * chunk.row +
                                                            s.x(which) * chunk.pixel + first + c);
      for (int j = 0; j < width; ++j)
        sums[which] += static_cast<acc_t>(grad.values[j]) * static_cast<acc_t>(pixel.values[j]);
    }
  }
  for (int step = lanes / 2; step > 0; step /= 2)
    for (int which = 0; which < 4; ++which)
      sums[which] += __shfl_xor_sync(0xffffffffu, sums[which], step);
  if (!active || lane != 0) return;
  const int64_t channel = at.offset_group * g.taps() + at.tap;
  if (grad_offset.data) {
    offset_t* out = grad_offset.data + at.out_y * grad_offset.h + at.out_x * grad_offset.w;
    out[2 * channel * grad_offset.c] =
        static_cast<offset_t>(tap.mask * value_dy(s, sums[0], sums[1], sums[2], sums[3]));
    out[(2 * channel + 1) * grad_offset.c] =
        static_cast<offset_t>(tap.mask * value_dx(s, sums[0], sums[1], sums[2], sums[3]));
  }
  if (grad_mask.data)
    grad_mask.data[channel * grad_mask.c + at.out_y * grad_mask.h + at.out_x * grad_mask.w] =
        static_cast<offset_t>(value(s, sums[0], sums[1], sums[2], sums[3]));
}

/// Adds `width` neighbouring values to global memory, in one instruction where the architecture has
/// it.
template <typename acc_t, int width>
__device__ __forceinline__ void atomic_add(acc_t* to, const acc_t (&values)[width]) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  if constexpr (sizeof(acc_t) == 4 && width % 4 == 0) {
    for (int j = 0; j < width; j += 4)
      atomicAdd(reinterpret_cast<float4*>(to + j),
                make_float4(values[j], values[j + 1], values[j + 2], values[j + 3]));
    return;
  }
#endif
  for (int j = 0; j < width; ++j) atomicAdd(to + j, values[j]);
}

/// Adds the chunk's column gradients to the image gradient, [height][width][channel] in acc_t.
template <typename scalar_t, typename offset_t, int width>
__global__ void __launch_bounds__(kThreads)
    scatter_columns_kernel(const Chunk<scalar_t, offset_t> chunk,
                           const scalar_t* __restrict__ grad_columns,
                           acc_type<scalar_t>* grad_image) {
  using acc_t = acc_type<scalar_t>;
  using Vector = Pack<scalar_t, width>;
  __shared__ SharedTap<acc_t> taps[kSamplesPerBlock];
  const Geometry& g = chunk.g;
  const int count = share_taps(chunk, g.width * g.channels, g.channels, taps);
  const int per_offset_group = static_cast<int>(g.channels_per_offset_group());
  const int vectors = per_offset_group / width;
  for (int64_t i = threadIdx.x; i < static_cast<int64_t>(count) * vectors; i += kThreads) {
    const SharedTap<acc_t>& tap = taps[i / vectors];
    const int64_t channel = tap.at.offset_group * per_offset_group + i % vectors * width;
    const Vector grad = *reinterpret_cast<const Vector*>(
        grad_columns + column_index(g, chunk.count, tap.at, channel));
    for (int which = 0; which < 4; ++which) {
      if (tap.corner[which] < 0) continue;
      acc_t values[width];
      for (int j = 0; j < width; ++j)
        values[j] = tap.weight[which] * static_cast<acc_t>(grad.values[j]);
      atomic_add(grad_image + tap.corner[which] + channel, values);
    }
  }
}

/// The key of "no pixel": sorts behind every pixel.
constexpr int32_t kNoPixel = 0x7fffffff;

/// For each sample and corner, its pixel and offset group as one key, and its weight; the
/// deterministic route sorts them.
template <typename scalar_t, typename offset_t>
__global__ void __launch_bounds__(kThreads)
    corner_keys_kernel(const Chunk<scalar_t, offset_t> chunk, int32_t* keys,
                       acc_type<scalar_t>* weights) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= chunk.samples()) return;
  const SampleIndex at = sample_index(chunk, index);
  const auto tap = locate_tap(chunk, at);
  for (int which = 0; which < 4; ++which) {
    const int64_t pixel = tap.sample.y(which) * chunk.g.width + tap.sample.x(which);
    keys[4 * index + which] =
        tap.sample.has(which)
            ? static_cast<int32_t>(pixel * chunk.g.offset_groups + at.offset_group)
            : kNoPixel;
    weights[4 * index + which] = tap.sample.weight(which) * tap.mask;
  }
}

/// Adds what falls on each pixel in the order of the samples: every run of equal keys has one
/// owner, so that no two threads write one element and the sum's order never changes. `order`
/// gives, for each sorted key, 4 * sample + corner.
template <typename scalar_t, typename offset_t, int width>
__global__ void __launch_bounds__(kThreads)
    sum_sorted_kernel(const Chunk<scalar_t, offset_t> chunk,
                      const scalar_t* __restrict__ grad_columns, const int32_t* __restrict__ keys,
                      const int64_t* __restrict__ order,
                      const acc_type<scalar_t>* __restrict__ weights,
                      acc_type<scalar_t>* grad_image) {
  using acc_t = acc_type<scalar_t>;
  using Vector = Pack<scalar_t, width>;
  const Geometry& g = chunk.g;
  const int64_t per_offset_group = g.channels_per_offset_group(),
                vectors = per_offset_group / width;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t entries = 4 * chunk.samples(), entry = index / vectors;
  if (entry >= entries) return;
  const int32_t key = keys[entry];
  if (key == kNoPixel || (entry > 0 && keys[entry - 1] == key)) return;
  const int64_t channel = key % g.offset_groups * per_offset_group + index % vectors * width;
  acc_t sum[width] = {};
  for (int64_t i = entry; i < entries && keys[i] == key; ++i) {
    const SampleIndex at = sample_index(chunk, order[i] / 4);
    const Vector grad =
        *reinterpret_cast<const Vector*>(grad_columns + column_index(g, chunk.count, at, channel));
    for (int j = 0; j < width; ++j)
      sum[j] += weights[order[i]] * static_cast<acc_t>(grad.values[j]);
  }
  acc_t* to = grad_image + key / g.offset_groups * g.channels + channel;
  for (int j = 0; j < width; ++j) to[j] += sum[j];
}

/// sum += part, from the half types' partial products into a float sum.
template <typename scalar_t>
__global__ void __launch_bounds__(kThreads)
    accumulate_kernel(int64_t count, const scalar_t* __restrict__ part,
                      acc_type<scalar_t>* __restrict__ sum) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index < count) sum[index] += static_cast<acc_type<scalar_t>>(part[index]);
}

// Launchers. Each picks 16-byte vectors where sizes and addresses allow them, else single elements.

template <typename scalar_t, typename offset_t>
bool use_vectors(const Chunk<scalar_t, offset_t>& chunk, const scalar_t* columns) {
  return vectorizable(chunk.image, chunk.row, chunk.pixel, chunk.g.channels_per_offset_group(),
                      chunk.g.channels_per_group()) &&
         vectorizable(columns);
}

template <typename scalar_t, typename offset_t>
unsigned blocks_of_samples(const Chunk<scalar_t, offset_t>& chunk) {
  return static_cast<unsigned>(ceil_div(chunk.samples(), kSamplesPerBlock));
}

template <typename scalar_t, typename offset_t>
cudaError_t gather_columns(const Chunk<scalar_t, offset_t>& chunk, scalar_t* columns,
                           cudaStream_t stream) {
  const auto kernel = use_vectors(chunk, columns)
                          ? gather_columns_kernel<scalar_t, offset_t, kVectorWidth<scalar_t>>
                          : gather_columns_kernel<scalar_t, offset_t, 1>;
  return launch(kernel, blocks_of_samples(chunk), kThreads, stream, chunk, columns);
}

template <typename scalar_t, typename offset_t>
cudaError_t tap_gradients(const Chunk<scalar_t, offset_t>& chunk, const scalar_t* grad_columns,
                          const View4<offset_t>& grad_offset, const View4<offset_t>& grad_mask,
                          cudaStream_t stream) {
  const bool vectors = use_vectors(chunk, grad_columns);
  const auto kernel = vectors ? tap_gradients_kernel<scalar_t, offset_t, kVectorWidth<scalar_t>>
                              : tap_gradients_kernel<scalar_t, offset_t, 1>;
  const int lanes = lanes_per_sample(chunk.g.channels_per_offset_group() /
                                     (vectors ? kVectorWidth<scalar_t> : 1));
  const auto blocks = static_cast<unsigned>(ceil_div(chunk.samples(), kThreads / lanes));
  return launch(kernel, blocks, kThreads, stream, chunk, grad_columns, lanes, grad_offset,
                grad_mask);
}

template <typename scalar_t, typename offset_t>
cudaError_t scatter_columns(const Chunk<scalar_t, offset_t>& chunk, const scalar_t* grad_columns,
                            acc_type<scalar_t>* grad_image, cudaStream_t stream) {
  const auto kernel = use_vectors(chunk, grad_columns)
                          ? scatter_columns_kernel<scalar_t, offset_t, kVectorWidth<scalar_t>>
                          : scatter_columns_kernel<scalar_t, offset_t, 1>;
  return launch(kernel, blocks_of_samples(chunk), kThreads, stream, chunk, grad_columns,
                grad_image);
}

template <typename scalar_t, typename offset_t>
cudaError_t corner_keys(const Chunk<scalar_t, offset_t>& chunk, int32_t* keys,
                        acc_type<scalar_t>* weights, cudaStream_t stream) {
  const auto blocks = static_cast<unsigned>(ceil_div(chunk.samples(), kThreads));
  return launch(corner_keys_kernel<scalar_t, offset_t>, blocks, kThreads, stream, chunk, keys,
                weights);
}

template <typename scalar_t, typename offset_t>
cudaError_t sum_sorted(const Chunk<scalar_t, offset_t>& chunk, const scalar_t* grad_columns,
                       const int32_t* keys, const int64_t* order, const acc_type<scalar_t>* weights,
                       acc_type<scalar_t>* grad_image, cudaStream_t stream) {
  const bool vectors = use_vectors(chunk, grad_columns);
  const auto kernel = vectors ? sum_sorted_kernel<scalar_t, offset_t, kVectorWidth<scalar_t>>
                              : sum_sorted_kernel<scalar_t, offset_t, 1>;
  const int64_t per_entry =
      chunk.g.channels_per_offset_group() / (vectors ? kVectorWidth<scalar_t> : 1);
  const auto blocks = static_cast<unsigned>(ceil_div(4 * chunk.samples() * per_entry, kThreads));
  return launch(kernel, blocks, kThreads, stream, chunk, grad_columns, keys, order, weights,
                grad_image);
}

template <typename scalar_t>
cudaError_t accumulate(int64_t count, const scalar_t* part, acc_type<scalar_t>* sum,
                       cudaStream_t stream) {
  return launch(accumulate_kernel<scalar_t>, static_cast<unsigned>(ceil_div(count, kThreads)),
                kThreads, stream, count, part, sum);
}

}  // namespace dcnbuild::cuda
