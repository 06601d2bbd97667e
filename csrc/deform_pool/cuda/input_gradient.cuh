// The poolings' gradient of the input, added in any order or always in one. No torch header.
#pragma once

#include "deform_pool/cuda/place.cuh"

namespace dcnbuild::cuda {

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

}  // namespace dcnbuild::cuda
