// Deformable PS-RoI pooling v2 and deformable RoI pooling: the positions of a bin's samples, for
// CPU and GPU. No torch header.
//
// Both average a grid of bilinear samples over every bin of a RoI; a learned offset moves the whole
// grid. They differ in the numbers of a Bin, which locate_bin computes.
//
// Convention (tests/ops/test_pool_edges.py): a sample counts within `margin` of the outermost
// pixels, both ends included, and is clamped onto them. Where it is clamped, its derivative by
// position is zero. A sample that does not count, or whose derivative is zero, adds nothing to the
// offset's gradient, for any pixels and upstream gradient. These give a NaN value and a NaN
// gradient of the offset, and touch no pixel: a NaN offset, and a RoI that is not finite, has 2^30
// pixels or more, or names an image that does not exist. Positions are acc_t, and are clamped again
// as integers, because float does not hold every integer beyond 2^24.
#pragma once

#include <cstdint>

#include "common/sampling.h"

namespace dcnbuild {

/// The shape of one pooling; all counts in elements.
struct PoolGeometry {
  int64_t batch, channels, height, width;                  // input
  int64_t rois, out_channels, pooled_h, pooled_w;          // output
  int64_t offset_classes, offset_cells_h, offset_cells_w;  // offset: [rois, 2 * classes, cells]
  int64_t group_size;       // input channels = out_channels * group_size^2
  int64_t samples;          // of a bin, along each axis; 0: as many as its pixels, rounded up
  double spatial_scale;     // factor from a RoI's coordinates to the input's
  double offset_scale;      // factor from an offset to fractions of the RoI's size
  bool position_sensitive;  // PS-RoI pooling

  DCNBUILD_HD int64_t bins() const { return pooled_h * pooled_w; }
  DCNBUILD_HD int64_t class_channels() const { return out_channels / offset_classes; }
  /// The input channel that an output channel's bin reads.
  DCNBUILD_HD int64_t input_channel(int64_t channel, int64_t ph, int64_t pw) const {
    return (channel * group_size + ph * group_size / pooled_h) * group_size +
           pw * group_size / pooled_w;
  }
  DCNBUILD_HD int64_t offset_cell_h(int64_t ph) const { return ph * offset_cells_h / pooled_h; }
  DCNBUILD_HD int64_t offset_cell_w(int64_t pw) const { return pw * offset_cells_w / pooled_w; }
};

/// The RoIs by their strides: image, x1, y1, x2, y2.
template <typename T>
struct RoiView {
  const T* data;
  int64_t roi, field;
};

/// A bin's grid of samples along one axis.
template <typename acc_t>
struct BinAxis {
  acc_t origin, step;  // sample i lies at origin + (i + shift) * step
  acc_t roi_size;  // in pixels of the input: how far an offset of 1 / offset_scale moves the bin
  int32_t first, last;  // the samples that may lie in the image
};

template <typename acc_t>
struct Bin {
  BinAxis<acc_t> y, x;
  acc_t shift, margin;
  acc_t samples;  // on the whole grid
  int64_t image;  // of the batch; -1 if the bin cannot be placed
};

/// One axis of a sample: the pixels before and after it, and the distance from the former.
template <typename acc_t>
struct PoolSide {
  int32_t low, high;
  acc_t l;

  DCNBUILD_HD acc_t h() const { return acc_t(1) - l; }
  /// Whether the sample's value has a derivative along the axis; if not, it adds no gradient.
  DCNBUILD_HD bool moves() const { return high != low; }
};

template <typename acc_t>
struct PoolSample {
  PoolSide<acc_t> y, x;
};

namespace pool {

/// The nearest integer, half away from zero like C's round.
template <typename acc_t>
DCNBUILD_HD acc_t round_half_away(acc_t value) {
  const acc_t magnitude = value < acc_t(0) ? -value : value;
  if (!(magnitude < acc_t(int64_t(1) << 52))) return value;  // such values are integers, or NaN
  const acc_t whole = static_cast<acc_t>(static_cast<int64_t>(magnitude));
  const acc_t rounded = magnitude - whole >= acc_t(0.5) ? whole + acc_t(1) : whole;
  return value < acc_t(0) ? -rounded : rounded;
}

/// value in [low, high] as an integer; low for NaN.
template <typename acc_t>
DCNBUILD_HD int32_t clamped(acc_t value, int32_t low, int32_t high) {
  if (!(value > acc_t(low))) return low;
  if (value >= acc_t(high)) return high;
  return static_cast<int32_t>(value);
}

/// The relative rounding error of a few operations: 16 units in the last place.
template <typename acc_t>
DCNBUILD_HD constexpr acc_t rounding() {
  return acc_t(16) / acc_t(sizeof(acc_t) == 8 ? int64_t(1) << 52 : int64_t(1) << 23);
}

/// Whether a RoI with these ends can be placed; false for NaN.
template <typename acc_t>
DCNBUILD_HD bool has_place(acc_t begin, acc_t size) {
  const acc_t limit = acc_t(1 << 30);
  return begin > -limit && begin < limit && size > -limit && size < limit;
}

/// Computes one axis of a bin. `begin` and `end` are the RoI's ends, `offset` is the learned
/// offset.
template <typename acc_t>
DCNBUILD_HD bool locate_axis(const PoolGeometry& g, acc_t begin, acc_t end, acc_t offset,
                             int64_t pooled, int64_t at, int64_t pixels, const Bin<acc_t>& bin,
                             BinAxis<acc_t>& axis, int32_t& count) {
  const acc_t scale = static_cast<acc_t>(g.spatial_scale), half = acc_t(0.5);
  if (g.position_sensitive) {
    begin = round_half_away(begin) * scale - half;
    end = (round_half_away(end) + acc_t(1)) * scale - half;
  } else {
    begin = begin * scale - half;
    end = end * scale - half;
  }
  axis.roi_size = end - begin;
  if (!has_place(begin, axis.roi_size) || !(offset == offset)) return false;
  // The RoI is empty, or its ends are exchanged.
  if (g.position_sensitive && axis.roi_size < acc_t(0.1)) axis.roi_size = acc_t(0.1);
  const acc_t size = axis.roi_size / static_cast<acc_t>(pooled);
  count = static_cast<int32_t>(g.samples);
  if (count == 0) {
    const int32_t whole = size > acc_t(0) ? static_cast<int32_t>(size) : 0;
    count = size > static_cast<acc_t>(whole) ? whole + 1 : whole;
  }
  axis.origin = begin + static_cast<acc_t>(at) * size +
                offset * static_cast<acc_t>(g.offset_scale) * axis.roi_size;
  if (!(axis.origin == axis.origin)) return false;
  axis.step = count > 0 ? size / static_cast<acc_t>(count) : acc_t(0);
  axis.first = 0, axis.last = pixels > 0 ? count : 0;
  if (axis.step > acc_t(0)) {
    // Most samples of a large RoI lie outside, so this starts with the first that may lie inside. A
    // few more samples at each end allow for rounding; every sample is checked again.
    const acc_t end = static_cast<acc_t>(pixels - 1);
    const acc_t far = (axis.origin < acc_t(0) ? -axis.origin : axis.origin) + end;
    // With an infinite origin, no sample is inside, and no slack is needed.
    const acc_t slack =
        acc_t(2) + (far - far == acc_t(0) ? far * rounding<acc_t>() / axis.step : acc_t(0));
    const acc_t before = (-bin.margin - axis.origin) / axis.step;
    const acc_t after = (end + bin.margin - axis.origin) / axis.step;
    axis.first = clamped(before - slack, 0, axis.last);
    axis.last = clamped(after + acc_t(1) + slack, axis.first, axis.last);
  }
  return true;
}

/// The sample at `at` of an axis of `pixels` > 0; false if it is outside.
template <typename acc_t>
DCNBUILD_HD bool locate_side(acc_t at, int64_t pixels, acc_t margin, bool position_sensitive,
                             PoolSide<acc_t>& side) {
  if (!(at >= -margin && at < static_cast<acc_t>(kSideLimit))) return false;
  const acc_t position = at < acc_t(0) ? acc_t(0) : at;
  side.low = static_cast<int32_t>(position);
  side.l = position - static_cast<acc_t>(side.low);
  const int32_t last = static_cast<int32_t>(pixels - 1), beyond = side.low - last;
  if (beyond >= 0) {
    if (at >= acc_t(0) && !(static_cast<acc_t>(beyond) + side.l <= margin)) return false;
    side.low = last, side.l = acc_t(0);
  }
  // On a pixel, PS-RoI pooling has no second pixel, so its derivative there is zero; RoI pooling
  // takes the next pixel. The last pixel and a clamped position have no next pixel.
  const bool next = side.l > acc_t(0) || (!position_sensitive && at >= acc_t(0));
  side.high = side.low + (next && side.low + 1 < pixels ? 1 : 0);
  return true;
}

}  // namespace pool

/// The image that a RoI's first field names, -1 if there is none.
template <typename acc_t>
DCNBUILD_HD int64_t image_of(const PoolGeometry& g, acc_t number) {
  if (!(number >= acc_t(0) && number < static_cast<acc_t>(g.batch))) return -1;
  return static_cast<int64_t>(number);
}

/// The samples of bin (ph, pw) of a RoI, moved by (offset_y, offset_x).
template <typename acc_t, typename T>
DCNBUILD_HD Bin<acc_t> locate_bin(const PoolGeometry& g, const RoiView<T>& rois, int64_t roi,
                                  acc_t offset_y, acc_t offset_x, int64_t ph, int64_t pw) {
  const T* fields = rois.data + roi * rois.roi;
  const auto field = [&](int i) { return static_cast<acc_t>(fields[i * rois.field]); };
  Bin<acc_t> bin{};
  bin.image = -1;
  bin.shift = g.position_sensitive ? acc_t(0) : acc_t(0.5);
  bin.margin = g.position_sensitive ? acc_t(0.5) : acc_t(1);
  const int64_t image = image_of(g, field(0));
  int32_t rows = 0, columns = 0;
  if (image >= 0 &&
      pool::locate_axis(g, field(2), field(4), offset_y, g.pooled_h, ph, g.height, bin, bin.y,
                        rows) &&
      pool::locate_axis(g, field(1), field(3), offset_x, g.pooled_w, pw, g.width, bin, bin.x,
                        columns))
    bin.image = image;
  bin.samples = static_cast<acc_t>(rows) * static_cast<acc_t>(columns);
  return bin;
}

/// Iterates over the samples of a bin that lie in the image.
template <typename acc_t>
class SampleWalk {
 public:
  DCNBUILD_HD SampleWalk(const PoolGeometry& g, const Bin<acc_t>& bin)
      : geometry_(g), bin_(bin), row_(bin.y.first - 1), column_(bin.x.last) {}

  /// Gives the next sample; returns false after the last.
  DCNBUILD_HD bool next(PoolSample<acc_t>& sample) {
    for (;;) {
      while (column_ < bin_.x.last) {
        const acc_t x = bin_.x.origin + (acc_t(column_++) + bin_.shift) * bin_.x.step;
        if (!pool::locate_side(x, geometry_.width, bin_.margin, geometry_.position_sensitive,
                               sample.x))
          continue;
        sample.y = row_side_;
        ++counted_;
        return true;
      }
      do {
        if (++row_ >= bin_.y.last) return false;
      } while (!pool::locate_side(bin_.y.origin + (acc_t(row_) + bin_.shift) * bin_.y.step,
                                  geometry_.height, bin_.margin, geometry_.position_sensitive,
                                  row_side_));
      column_ = bin_.x.first;
    }
  }

  /// The divisor of the sum over the samples, after the last: the number of samples in the image
  /// for PS-RoI pooling, of all samples for RoI pooling, and at least one.
  DCNBUILD_HD acc_t divisor() const {
    const acc_t count = geometry_.position_sensitive ? acc_t(counted_) : bin_.samples;
    return count > acc_t(1) ? count : acc_t(1);
  }

 private:
  const PoolGeometry& geometry_;
  const Bin<acc_t>& bin_;
  int32_t row_, column_;
  int64_t counted_ = 0;
  PoolSide<acc_t> row_side_{0, 0, acc_t(0)};
};

}  // namespace dcnbuild
