// The poolings' gradient of the offsets. No torch header.
#pragma once

#include <cmath>

#include "deform_pool/cuda/place.cuh"

namespace dcnbuild::cuda {

/// Whether nothing was added to a sum that began with minus zero.
template <typename acc_t>
DCNBUILD_HD bool is_minus_zero(acc_t value) {
  return value == acc_t(0) && copysign(acc_t(1), value) < acc_t(0);
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
cudaError_t pool_offset_gradient(const PoolCall<scalar_t, position_t>& call,
                                 const View4<const scalar_t>& grad_output,
                                 const View4<position_t>& grad_offset, cudaStream_t stream) {
  const PoolGeometry& g = call.g;
  return launch(DCNBUILD_GLOBAL(pool_offset_gradient_kernel, scalar_t, position_t),
                g.rois * g.offset_classes * g.offset_cells_h * g.offset_cells_w, stream, call,
                grad_output, grad_offset);
}

}  // namespace dcnbuild::cuda
