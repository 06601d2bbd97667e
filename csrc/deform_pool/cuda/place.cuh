// A pooling call as kernels see it: which output element is a thread's, and where its bin and
// samples lie. No torch header.
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

}  // namespace dcnbuild::cuda
