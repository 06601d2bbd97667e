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

/// A kernel that slides over an image: query q is its place (q / out_width, q % out_width), and
/// point k its k-th tap, down one column after the other. Locations are offsets then: a tap reads
/// at place + scale * (tap + offset), where a tap is counted from the kernel's middle. All counts
/// in pixels.
struct Window {
  struct Side {
    int32_t kernel, stride, dilation;
    int32_t first;   // the middle of the kernel at its first place; negative in the padding
    int32_t middle;  // from the first tap to the middle

    DCNBUILD_HD int32_t place(int32_t out) const { return first + out * stride; }
    DCNBUILD_HD int32_t tap(int32_t index) const { return index * dilation - middle; }
  };
  Side y, x;
  int32_t out_width;
  int32_t removed;  // the tap that has no point; past the last if all have
  double scale;

  /// Without one, locations are those of attention.
  DCNBUILD_HD bool exists() const { return out_width > 0; }
  DCNBUILD_HD int32_t place_y(int32_t query) const { return y.place(query / out_width); }
  DCNBUILD_HD int32_t place_x(int32_t query) const { return x.place(query % out_width); }
  DCNBUILD_HD int32_t tap_y(int32_t point) const { return y.tap(index(point) % y.kernel); }
  DCNBUILD_HD int32_t tap_x(int32_t point) const { return x.tap(index(point) / y.kernel); }

 private:
  DCNBUILD_HD int32_t index(int32_t point) const { return point + (point >= removed ? 1 : 0); }
};

/// The shape of one multi-scale deformable attention; all counts in elements.
struct AttnGeometry {
  int64_t batch, pixels, heads, channels;  // value: [batch][pixels of all levels][head][channel]
  int64_t queries, levels, points;         // points: of one level
  AttnLevel level[kMaxLevels];
  Window window{};  // of deform_sample, which has one level

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

/// What is added to a location in 0..1 that was multiplied by the pixels of an axis:
/// grid_sample(align_corners=False).
constexpr double kHalfPixel = -0.5;

/// The pixel coordinate of a location: times `scale`, plus `shift`. The product is rounded before
/// the shift is added, as in plain torch: fused, the middle of a pixel may fall beside it, where
/// the derivative is another.
template <typename acc_t>
DCNBUILD_HD acc_t pixel_coordinate(acc_t location, acc_t scale, acc_t shift) {
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(acc_t) == 8) {
    return __dadd_rn(__dmul_rn(location, scale), shift);
  } else {
    return __fadd_rn(__fmul_rn(location, scale), shift);
  }
#else
  acc_t product = location * scale;
#if defined(__aarch64__)
  asm("" : "+w"(product));
#elif defined(__x86_64__)
  asm("" : "+x"(product));
#endif
  return product + shift;
#endif
}

}  // namespace dcnbuild
