// Bilinear sampling and its derivatives, one definition for CPU and GPU. No torch header.
//
// Convention (tests/ops/test_edge_cases.py): a sample counts when -1 < y < height and -1 < x <
// width, and pixels outside the image are zero. At exactly -1, beyond the image, at infinity: value
// and every gradient are zero. A NaN coordinate gives a NaN value and NaN gradients of offset and
// mask, and touches no pixel.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define DCNBUILD_HD __host__ __device__ __forceinline__
#else
#define DCNBUILD_HD inline __attribute__((always_inline))
#endif

namespace dcnbuild {

/// Where one tap of the kernel falls: the pixel above and to the left, the distances to it, and
/// which of the four neighbours lie in the image (bit 0 top left, 1 top right, 2 bottom left, 3
/// bottom right).
template <typename acc_t>
struct Sample {
  acc_t ly, lx;  // distance from (y0, x0), in [0, 1]
  int32_t y0, x0;
  int32_t corners;

  DCNBUILD_HD acc_t hy() const { return acc_t(1) - ly; }
  DCNBUILD_HD acc_t hx() const { return acc_t(1) - lx; }
  DCNBUILD_HD acc_t weight(int corner) const {
    return ((corner & 2) ? ly : hy()) * ((corner & 1) ? lx : hx());
  }
  DCNBUILD_HD bool has(int corner) const { return (corners >> corner) & 1; }
  DCNBUILD_HD int32_t y(int corner) const { return y0 + (corner >> 1); }
  DCNBUILD_HD int32_t x(int corner) const { return x0 + (corner & 1); }
};

/// The sample at (y, x) of an image of height x width pixels.
template <typename acc_t>
DCNBUILD_HD Sample<acc_t> sample_at(acc_t y, acc_t x, int64_t height, int64_t width) {
  Sample<acc_t> sample{acc_t(0), acc_t(0), 0, 0, 0};
  // The comparisons are false for NaN, so that no NaN, infinity or huge number is ever converted to
  // an integer.
  if (y > acc_t(-1) && y < acc_t(height) && x > acc_t(-1) && x < acc_t(width)) {
    // y + 1 is positive, so truncation is floor.
    sample.y0 = static_cast<int32_t>(y + acc_t(1)) - 1;
    sample.x0 = static_cast<int32_t>(x + acc_t(1)) - 1;
    // For y just below an integer, y + 1 may round up to the next one; step back, so that ly stays
    // in [0, 1].
    if (acc_t(sample.y0) > y) --sample.y0;
    if (acc_t(sample.x0) > x) --sample.x0;
    sample.ly = y - acc_t(sample.y0);
    sample.lx = x - acc_t(sample.x0);
    const bool top = sample.y0 >= 0, bottom = sample.y0 + 1 < height;
    const bool left = sample.x0 >= 0, right = sample.x0 + 1 < width;
    sample.corners =
        (top && left) | (top && right) << 1 | (bottom && left) << 2 | (bottom && right) << 3;
  } else if (y != y || x != x) {
    sample.ly = sample.lx = y + x;  // NaN
  }
  return sample;
}

/// Derivatives of the sampled value, from the four corner values (or their products with an
/// upstream gradient, summed over channels: everything here is linear in them).
template <typename acc_t>
DCNBUILD_HD acc_t value(const Sample<acc_t>& s, acc_t tl, acc_t tr, acc_t bl, acc_t br) {
  return s.hy() * (s.hx() * tl + s.lx * tr) + s.ly * (s.hx() * bl + s.lx * br);
}
template <typename acc_t>
DCNBUILD_HD acc_t value_dy(const Sample<acc_t>& s, acc_t tl, acc_t tr, acc_t bl, acc_t br) {
  return s.hx() * (bl - tl) + s.lx * (br - tr);
}
template <typename acc_t>
DCNBUILD_HD acc_t value_dx(const Sample<acc_t>& s, acc_t tl, acc_t tr, acc_t bl, acc_t br) {
  return s.hy() * (tr - tl) + s.ly * (br - bl);
}

/// The coordinate, along one axis, that a tap reads before the offset is added.
DCNBUILD_HD int64_t tap_origin(int64_t out, int64_t stride, int64_t padding, int64_t tap,
                               int64_t dilation) {
  return out * stride - padding + tap * dilation;
}

}  // namespace dcnbuild
