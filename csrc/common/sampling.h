// Bilinear sampling and its derivatives, for CPU and GPU. No torch header.
//
// Convention (tests/ops/test_edge_cases.py, tests/ops/test_not_finite.py): a sample counts if
// -1 < y < height and -1 < x < width; pixels outside the image are zero. At exactly -1, beyond the
// image and at infinity, the value is zero, and so are the gradients of offset and mask, for any
// weight, mask and upstream gradient. A NaN coordinate gives a NaN value and NaN gradients of
// offset and mask, and touches no pixel. Everything else is IEEE arithmetic on the sum over the
// four neighbours of (bilinear weight * mask) * pixel.
//
// A coordinate is rounded once, to acc_t, when the offset is added to the tap's place. After that
// it is compared with the image's sides as an integer, because float does not hold every integer
// beyond 2^24.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define DCNBUILD_HD __host__ __device__ __forceinline__
#else
#define DCNBUILD_HD inline __attribute__((always_inline))
#endif

namespace dcnbuild {

/// Sides of images, and all other counts along one axis, are below this.
constexpr int64_t kSideLimit = int64_t(1) << 30;

/// The position of a tap's sample: the pixel above and to the left, the distances to it, and which
/// of the four neighbours lie in the image (bit 0 top left, 1 top right, 2 bottom left, 3 bottom
/// right).
template <typename acc_t>
struct Sample {
  acc_t ly, lx;  // distance from (y0, x0), in [0, 1]; NaN for a NaN coordinate
  int32_t y0, x0;
  int32_t corners;

  DCNBUILD_HD acc_t hy() const { return acc_t(1) - ly; }
  DCNBUILD_HD acc_t hx() const { return acc_t(1) - lx; }
  DCNBUILD_HD acc_t weight(int corner) const {
    return ((corner & 2) ? ly : hy()) * ((corner & 1) ? lx : hx());
  }
  DCNBUILD_HD bool has(int corner) const { return (corners >> corner) & 1; }
  /// Whether it is a constant zero, for which offset and mask have zero gradients.
  DCNBUILD_HD bool outside() const { return corners == 0 && ly == ly; }
  DCNBUILD_HD int32_t y(int corner) const { return y0 + (corner >> 1); }
  DCNBUILD_HD int32_t x(int corner) const { return x0 + (corner & 1); }
};

/// The sample at (y, x) of an image of height x width pixels.
template <typename acc_t>
DCNBUILD_HD Sample<acc_t> sample_at(acc_t y, acc_t x, int64_t height, int64_t width) {
  Sample<acc_t> sample{acc_t(0), acc_t(0), 0, 0, 0};
  // The comparisons are false for NaN, so no NaN, infinity or huge number is converted to an
  // integer.
  const acc_t limit = static_cast<acc_t>(kSideLimit);
  if (y > acc_t(-1) && y < limit && x > acc_t(-1) && x < limit) {
    // Truncation is floor, except between -1 and 0.
    int32_t y0 = static_cast<int32_t>(y), x0 = static_cast<int32_t>(x);
    if (acc_t(y0) > y) --y0;
    if (acc_t(x0) > x) --x0;
    if (y0 >= height || x0 >= width) return sample;
    sample.y0 = y0, sample.x0 = x0;
    sample.ly = y - acc_t(y0);
    sample.lx = x - acc_t(x0);
    const bool top = y0 >= 0, bottom = y0 + 1 < height;
    const bool left = x0 >= 0, right = x0 + 1 < width;
    sample.corners =
        (top && left) | (top && right) << 1 | (bottom && left) << 2 | (bottom && right) << 3;
  } else if (y != y || x != x) {
    sample.ly = sample.lx = y + x;  // NaN
  }
  return sample;
}

// Derivatives of a modulated sample, from its four corners' products with the upstream gradient,
// summed over channels. Only the last operation joins the terms, so that NaN and infinity come out
// as in the reference.

/// The derivative by the mask.
template <typename acc_t>
DCNBUILD_HD acc_t value(const Sample<acc_t>& s, acc_t tl, acc_t tr, acc_t bl, acc_t br) {
  return s.hy() * (s.hx() * tl + s.lx * tr) + s.ly * (s.hx() * bl + s.lx * br);
}
/// The derivative by y, times the mask.
template <typename acc_t>
DCNBUILD_HD acc_t value_dy(const Sample<acc_t>& s, acc_t mask, acc_t tl, acc_t tr, acc_t bl,
                           acc_t br) {
  return mask * (s.hx() * bl + s.lx * br) - mask * (s.hx() * tl + s.lx * tr);
}
/// The derivative by x, times the mask.
template <typename acc_t>
DCNBUILD_HD acc_t value_dx(const Sample<acc_t>& s, acc_t mask, acc_t tl, acc_t tr, acc_t bl,
                           acc_t br) {
  const acc_t above = s.hy() * mask, below = s.ly * mask;
  return (above * tr + below * br) - (above * tl + below * bl);
}

/// The coordinate of a tap along one axis, before the offset is added.
DCNBUILD_HD int64_t tap_origin(int64_t out, int64_t stride, int64_t padding, int64_t tap,
                               int64_t dilation) {
  return out * stride - padding + tap * dilation;
}

}  // namespace dcnbuild
