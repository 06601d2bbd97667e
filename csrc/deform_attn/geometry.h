// What every deform_attn kernel is told about a call, and where its samples lie. No torch header:
// CPU and CUDA kernels share this.
#pragma once

#include <cstdint>

#include "common/sampling.h"

namespace dcnbuild {

/// Levels of one call: a kernel is given all of them by value.
constexpr int64_t kMaxLevels = 64;

/// One image of the pyramid, height x width pixels from pixel `start` of the value on.
struct AttnLevel {
  int64_t height, width, start;
};

/// The shape of one multi-scale deformable attention; all counts in elements.
struct AttnGeometry {
  int64_t batch, pixels, heads, channels;  // value: [batch][pixels of all levels][head][channel]
  int64_t queries, levels, points;         // points: of one level
  AttnLevel level[kMaxLevels];

  /// Samples of one query and head.
  DCNBUILD_HD int64_t samples() const { return levels * points; }
};

/// [n][pixel][head][channel] through its strides (in elements).
template <typename T>
struct ValueView {
  T* data;
  int64_t n, pixel, head, channel;
};

/// sampling_locations [n][query][head][level][point][x, y], and attention_weights, which have no
/// `axis`.
template <typename T>
struct PointView {
  T* data;
  int64_t n, query, head, level, point, axis;
};

/// The pixel coordinate of a location in 0..1 on an axis of `size` pixels: that of
/// grid_sample(align_corners=False). The product is rounded before the half is taken off, as in
/// plain torch: fused, the middle of a pixel may fall beside it, where the derivative is another.
template <typename acc_t>
DCNBUILD_HD acc_t pixel_coordinate(acc_t location, acc_t size) {
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(acc_t) == 8) {
    return __dadd_rn(__dmul_rn(location, size), -0.5);
  } else {
    return __fadd_rn(__fmul_rn(location, size), -0.5f);
  }
#else
  acc_t product = location * size;
#if defined(__aarch64__)
  asm("" : "+w"(product));
#elif defined(__x86_64__)
  asm("" : "+x"(product));
#endif
  return product - acc_t(0.5);
#endif
}

}  // namespace dcnbuild
