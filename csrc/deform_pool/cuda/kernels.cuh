// Kernels of deformable PS-RoI pooling and deformable RoI pooling, on raw pointers. No torch
// header.
#pragma once

#include <cmath>

#include "common/cuda/launch.cuh"
#include "deform_pool/geometry.h"

namespace dcnbuild::cuda {

/// A pooling call, with the memory of its operands.
template <typename scalar_t, typename position_t>
struct PoolCall {
  PoolGeometry g;
  View4<const scalar_t> input;
  RoiView<position_t> rois;
  View4<const position_t> offset;  // data is null without offsets
};

/// An element of the output.
struct PoolPlace {
  int roi, channel, ph, pw;
};

/// kBlocksPerSM, or fewer for double precision, which needs more registers.
template <typename scalar_t, int of_double>
constexpr int kPoolBlocksPerSM = sizeof(acc_type<scalar_t>) == 8 ? of_double : kBlocksPerSM;

/// The number of blocks that one RoI's outputs fill.
inline int64_t blocks_per_roi(const PoolGeometry& g) {
  return ceil_div(g.out_channels * g.bins(), kThreads);
}

/// Gives the output element of a thread; returns false if there is none. Channels vary fastest if
/// the input's do.
template <typename scalar_t, typename position_t>
__device__ __forceinline__ bool pool_place(const PoolCall<scalar_t, position_t>& call,
                                           unsigned blocks, PoolPlace& place) {
  const auto channels = static_cast<unsigned>(call.g.out_channels);
  const auto bins = static_cast<unsigned>(call.g.bins()),
             width = static_cast<unsigned>(call.g.pooled_w);
  place.roi = static_cast<int>(blockIdx.x / blocks);
  const unsigned local = (blockIdx.x % blocks) * kThreads + threadIdx.x;
  if (local >= channels * bins) return false;
  const bool channels_fastest = call.input.c < call.input.w;
  const unsigned channel = channels_fastest ? local % channels : local / bins;
  const unsigned bin = channels_fastest ? local / channels : local % bins;
  place.channel = static_cast<int>(channel);
  place.ph = static_cast<int>(bin / width), place.pw = static_cast<int>(bin % width);
  return true;
}

template <typename scalar_t, typename position_t>
__device__ __forceinline__ Bin<acc_type<scalar_t>> bin_at(
    const PoolCall<scalar_t, position_t>& call, const PoolPlace& place) {
  using acc_t = acc_type<scalar_t>;
  acc_t offset_y(0), offset_x(0);
  if (call.offset.data) {
    const int64_t offset_class = place.channel / call.g.class_channels();
    const position_t* at = call.offset.data + place.roi * call.offset.n +
                           2 * offset_class * call.offset.c +
                           call.g.offset_cell_h(place.ph) * call.offset.h +
                           call.g.offset_cell_w(place.pw) * call.offset.w;
    offset_x = static_cast<acc_t>(at[0]), offset_y = static_cast<acc_t>(at[call.offset.c]);
  }
  return locate_bin<acc_t>(call.g, call.rois, place.roi, offset_y, offset_x, place.ph, place.pw);
}

/// The four pixels around a sample, as distances in memory from the channel's first.
template <typename acc_t>
struct PoolCorners {
  int64_t tl, tr, bl, br;

  template <typename T>
  __device__ __forceinline__ PoolCorners(const PoolSample<acc_t>& s, const View4<T>& view)
      : tl(s.y.low * view.h + s.x.low * view.w),
        tr(s.y.low * view.h + s.x.high * view.w),
        bl(s.y.high * view.h + s.x.low * view.w),
        br(s.y.high * view.h + s.x.high * view.w) {}
};

template <typename scalar_t, typename position_t, typename T>
__device__ __forceinline__ T* channel_of(const PoolCall<scalar_t, position_t>& call,
                                         const View4<T>& view, int64_t image,
                                         const PoolPlace& place) {
  return view.data + image * view.n +
         call.g.input_channel(place.channel, place.ph, place.pw) * view.c;
}

template <typename T>
__device__ __forceinline__ T* output_at(const View4<T>& view, const PoolPlace& place) {
  return view.data + place.roi * view.n + place.channel * view.c + place.ph * view.h +
         place.pw * view.w;
}

template <typename acc_t>
__device__ __forceinline__ acc_t not_a_number() {
  return static_cast<acc_t>(NAN);
}

template <typename scalar_t, typename position_t>
__global__ void __launch_bounds__(kThreads, kBlocksPerSM)
    pool_kernel(const PoolCall<scalar_t, position_t> call, const unsigned blocks,
                const View4<scalar_t> output) {
  using acc_t = acc_type<scalar_t>;
  PoolPlace place;
  if (!pool_place(call, blocks, place)) return;
  const Bin<acc_t> bin = bin_at(call, place);
  acc_t result = not_a_number<acc_t>();
  if (bin.image >= 0) {
    const scalar_t* plane = channel_of(call, call.input, bin.image, place);
    acc_t sum(0);
    SampleWalk<acc_t> walk(call.g, bin);
    PoolSample<acc_t> s;
    while (walk.next(s)) {
      const PoolCorners<acc_t> at(s, call.input);
      sum += s.y.h() * (s.x.h() * static_cast<acc_t>(plane[at.tl]) +
                        s.x.l * static_cast<acc_t>(plane[at.tr])) +
             s.y.l * (s.x.h() * static_cast<acc_t>(plane[at.bl]) +
                      s.x.l * static_cast<acc_t>(plane[at.br]));
    }
    result = sum / walk.divisor();
  }
  *output_at(output, place) = static_cast<scalar_t>(result);
}

/// Calls add(row of the image, distance of the pixel from the channel's first, value) for a bin's
/// share of the input's gradient.
template <typename scalar_t, typename position_t, typename F>
__device__ __forceinline__ void input_gradient(const PoolCall<scalar_t, position_t>& call,
                                               const Bin<acc_type<scalar_t>>& bin,
                                               acc_type<scalar_t> upstream,
                                               const View4<acc_type<scalar_t>>& sums,
                                               const F& add) {
  using acc_t = acc_type<scalar_t>;
  PoolSample<acc_t> s;
  SampleWalk<acc_t> count(call.g, bin);
  if (call.g.position_sensitive)
    while (count.next(s)) {
    }
  upstream /= count.divisor();
  SampleWalk<acc_t> walk(call.g, bin);
  while (walk.next(s)) {
    const PoolCorners<acc_t> at(s, sums);
    add(s.y.low, at.tl, upstream * s.y.h() * s.x.h());
    add(s.y.low, at.tr, upstream * s.y.h() * s.x.l);
    add(s.y.high, at.bl, upstream * s.y.l * s.x.h());
    add(s.y.high, at.br, upstream * s.y.l * s.x.l);
  }
}

template <typename scalar_t, typename position_t>
__global__ void __launch_bounds__(kThreads)
    pool_input_gradient_kernel(const PoolCall<scalar_t, position_t> call, const unsigned blocks,
                               const View4<const scalar_t> grad_output,
                               const View4<acc_type<scalar_t>> sums) {
  using acc_t = acc_type<scalar_t>;
  PoolPlace place;
  if (!pool_place(call, blocks, place)) return;
  const Bin<acc_t> bin = bin_at(call, place);
  if (bin.image < 0) return;
  acc_t* plane = channel_of(call, sums, bin.image, place);
  input_gradient(call, bin, static_cast<acc_t>(*output_at(grad_output, place)), sums,
                 [&](int32_t, int64_t pixel, acc_t value) { atomic_add(plane + pixel, value); });
}

/// Whether nothing was added to a sum that began with minus zero.
template <typename acc_t>
DCNBUILD_HD bool is_minus_zero(acc_t value) {
  return value == acc_t(0) && copysign(acc_t(1), value) < acc_t(0);
}

/// Whether a sample of the bin may read a row of the image.
template <typename acc_t>
DCNBUILD_HD bool may_touch(const Bin<acc_t>& bin, int row) {
  const acc_t first = bin.y.origin + (acc_t(bin.y.first) + bin.shift) * bin.y.step,
              last = bin.y.origin + (acc_t(bin.y.last - 1) + bin.shift) * bin.y.step;
  // The slack is more than one pixel where acc_t does not hold every row.
  const acc_t slack = acc_t(1) + acc_t(row) * pool::rounding<acc_t>();
  const acc_t before = acc_t(row) - slack, after = acc_t(row) + slack;
  return (first >= before || last >= before) && (first <= after || last <= after);
}

/// The same, always in one order: a thread owns a row of the channels that an output channel reads
/// in an image, and searches all RoIs for bins that read it.
template <typename scalar_t, typename position_t>
__global__ void __launch_bounds__(kThreads, kPoolBlocksPerSM<scalar_t, 2>)
    pool_input_gradient_in_order_kernel(const PoolCall<scalar_t, position_t> call,
                                        const View4<const scalar_t> grad_output,
                                        const View4<acc_type<scalar_t>> sums) {
  using acc_t = acc_type<scalar_t>;
  const int64_t index = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= call.g.batch * call.g.height * call.g.out_channels) return;
  const int64_t line = index / call.g.out_channels;
  const int image = static_cast<int>(line / call.g.height);
  const int row = static_cast<int>(line - image * call.g.height);
  PoolPlace place{0, static_cast<int>(index - line * call.g.out_channels), 0, 0};
  for (; place.roi < call.g.rois; ++place.roi) {
    // Skips RoIs of another image once, rather than for each bin in bin_at.
    if (image_of(call.g, static_cast<acc_t>(call.rois.data[place.roi * call.rois.roi])) != image)
      continue;
    for (place.ph = 0; place.ph < call.g.pooled_h; ++place.ph)
      for (place.pw = 0; place.pw < call.g.pooled_w; ++place.pw) {
        const Bin<acc_t> bin = bin_at(call, place);
        if (bin.image != image || !may_touch(bin, row)) continue;
        acc_t* plane = channel_of(call, sums, image, place);
        input_gradient(call, bin, static_cast<acc_t>(*output_at(grad_output, place)), sums,
                       [&](int32_t of_row, int64_t pixel, acc_t value) {
                         if (of_row == row) plane[pixel] += value;
                       });
      }
  }
}

/// The first bin that uses the offset of `cell` or of a later cell.
DCNBUILD_HD unsigned first_bin_of(unsigned cell, unsigned cells, unsigned pooled) {
  return (cell * pooled + cells - 1) / cells;  // of numbers up to 2^15
}

/// Computes the gradient of one pair of offsets by one block. Its threads divide the channels and
/// bins that use the pair, and add up in shared memory. Deterministic, without atomics.
template <typename scalar_t, typename position_t>
__global__ void __launch_bounds__(kThreads, kPoolBlocksPerSM<scalar_t, 2>)
    pool_offset_gradient_kernel(const PoolCall<scalar_t, position_t> call,
                                const View4<const scalar_t> grad_output,
                                const View4<position_t> grad_offset) {
  using acc_t = acc_type<scalar_t>;
  __shared__ acc_t sums_y[kThreads], sums_x[kThreads];
  const PoolGeometry& g = call.g;
  const auto cells_h = static_cast<unsigned>(g.offset_cells_h),
             cells_w = static_cast<unsigned>(g.offset_cells_w);
  const unsigned row = blockIdx.x / cells_w, cell_w = blockIdx.x - row * cells_w;
  const unsigned map = row / cells_h, cell_h = row - map * cells_h;
  const auto classes = static_cast<unsigned>(g.offset_classes);
  const unsigned roi = map / classes, offset_class = map - roi * classes;

  const auto pooled_h = static_cast<unsigned>(g.pooled_h),
             pooled_w = static_cast<unsigned>(g.pooled_w);
  const unsigned ph_begin = first_bin_of(cell_h, cells_h, pooled_h),
                 pw_begin = first_bin_of(cell_w, cells_w, pooled_w);
  const unsigned width = first_bin_of(cell_w + 1, cells_w, pooled_w) - pw_begin;
  const unsigned bins = (first_bin_of(cell_h + 1, cells_h, pooled_h) - ph_begin) * width;
  const auto channels = static_cast<unsigned>(g.class_channels());
  // The sums stay in shared memory, because this kernel has no registers to spare.
  acc_t &sum_y = sums_y[threadIdx.x], &sum_x = sums_x[threadIdx.x];
  sum_y = sum_x = acc_t(0);
  for (unsigned i = threadIdx.x; i < channels * bins; i += kThreads) {
    const unsigned bin_index = i / channels, bin_row = bin_index / width;
    const PoolPlace place{static_cast<int>(roi),
                          static_cast<int>(offset_class * channels + i - bin_index * channels),
                          static_cast<int>(ph_begin + bin_row),
                          static_cast<int>(pw_begin + bin_index - bin_row * width)};
    const Bin<acc_t> bin = bin_at(call, place);
    if (bin.image < 0) {
      sum_y = sum_x = not_a_number<acc_t>();
      continue;
    }
    const acc_t scale =
        static_cast<acc_t>(*output_at(grad_output, place)) * static_cast<acc_t>(g.offset_scale);
    const scalar_t* plane = channel_of(call, call.input, bin.image, place);
    // A sample without a second pixel adds nothing, as in geometry.h. A sum that is still minus
    // zero says that no sample had a second pixel, since a difference of pixels is never minus
    // zero. There are no registers left for a flag for each axis or for the sample's positions.
    acc_t dy(-0.0), dx(-0.0);
    SampleWalk<acc_t> walk(g, bin);
    PoolSample<acc_t> s;
    while (walk.next(s)) {
      const PoolCorners<acc_t> at(s, call.input);
      const auto tl = static_cast<acc_t>(plane[at.tl]), tr = static_cast<acc_t>(plane[at.tr]),
                 bl = static_cast<acc_t>(plane[at.bl]), br = static_cast<acc_t>(plane[at.br]);
      dy += at.tl != at.bl ? s.x.h() * (bl - tl) + s.x.l * (br - tr) : acc_t(-0.0);
      dx += at.tl != at.tr ? s.y.h() * (tr - tl) + s.y.l * (br - bl) : acc_t(-0.0);
    }
    if (!is_minus_zero(dy)) sum_y += scale / walk.divisor() * bin.y.roi_size * dy;
    if (!is_minus_zero(dx)) sum_x += scale / walk.divisor() * bin.x.roi_size * dx;
  }
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < half) {
      sums_y[threadIdx.x] += sums_y[threadIdx.x + half];
      sums_x[threadIdx.x] += sums_x[threadIdx.x + half];
    }
  }
  if (threadIdx.x == 0) {
    position_t* at = grad_offset.data + roi * grad_offset.n + 2 * offset_class * grad_offset.c +
                     cell_h * grad_offset.h + cell_w * grad_offset.w;
    at[0] = static_cast<position_t>(sums_x[0]);
    at[grad_offset.c] = static_cast<position_t>(sums_y[0]);
  }
}

template <typename scalar_t, typename position_t>
cudaError_t pool(const PoolCall<scalar_t, position_t>& call, const View4<scalar_t>& output,
                 cudaStream_t stream) {
  const int64_t blocks = blocks_per_roi(call.g);
  return launch(DCNBUILD_GLOBAL(pool_kernel, scalar_t, position_t), call.g.rois * blocks, stream,
                call, static_cast<unsigned>(blocks), output);
}

template <typename scalar_t, typename position_t>
cudaError_t pool_input_gradient(const PoolCall<scalar_t, position_t>& call,
                                const View4<const scalar_t>& grad_output,
                                const View4<acc_type<scalar_t>>& sums, bool deterministic,
                                cudaStream_t stream) {
  if (deterministic)
    return launch(DCNBUILD_GLOBAL(pool_input_gradient_in_order_kernel, scalar_t, position_t),
                  ceil_div(call.g.batch * call.g.height * call.g.out_channels, kThreads), stream,
                  call, grad_output, sums);
  const int64_t blocks = blocks_per_roi(call.g);
  return launch(DCNBUILD_GLOBAL(pool_input_gradient_kernel, scalar_t, position_t),
                call.g.rois * blocks, stream, call, static_cast<unsigned>(blocks), grad_output,
                sums);
}

template <typename scalar_t, typename position_t>
cudaError_t pool_offset_gradient(const PoolCall<scalar_t, position_t>& call,
                                 const View4<const scalar_t>& grad_output,
                                 const View4<position_t>& grad_offset, cudaStream_t stream) {
  const PoolGeometry& g = call.g;
  return launch(DCNBUILD_GLOBAL(pool_offset_gradient_kernel, scalar_t, position_t),
                g.rois * g.offset_classes * g.offset_cells_h * g.offset_cells_w, stream, call,
                grad_output, grad_offset);
}

}  // namespace dcnbuild::cuda
