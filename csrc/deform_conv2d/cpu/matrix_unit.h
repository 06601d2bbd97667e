// A pass over a half type on an instruction set that multiplies it: image, columns, weights and the
// output's gradient stay in that type, all sums are float. See vector_unit.h for the members.
#pragma once

#include "deform_conv2d/cpu/vector_unit.h"

namespace dcnbuild::cpu {

class MatrixUnit {
 public:
  using Sum = float;
  using Pixel = uint16_t;  // bits

  MatrixUnit(const MatrixKernels& kernels, ScalarType dtype) : k_(kernels), dtype_(dtype) {}

  /// Whether it pays for such a convolution: weight groups of few channels would leave most of a
  /// tile empty, and each would be located by itself.
  static bool suits(const Geometry& g) { return g.groups == 1 || g.channels_per_group() >= 8; }

  int64_t lanes() const { return k_.lanes; }
  int64_t row_step() const { return k_.row_step; }
  ScalarType dtype() const { return dtype_; }
  Strided<Pixel> pixels(const Tensor& t) const { return {t, k_.copy}; }

  /// [position][group][tap][channel], a tap's channels padded to units, a group's to the depth of a
  /// product.
  ColumnLayout layout(const Geometry& g, int64_t taps) const {
    const int64_t tap = tap_depth(g), group = depth(g, taps);
    return {g.groups * group, tap, group};
  }
  /// Runs end where either kind of group does.
  std::vector<Run> runs(const Geometry& g, const ColumnLayout& layout) const {
    std::vector<Run> runs;
    const int64_t width = g.channels_per_group(), offset_width = g.channels_per_offset_group();
    for (int64_t begin = 0; begin < g.channels;) {
      const int64_t group = begin / width, offset_group = begin / offset_width,
                    end = std::min((group + 1) * width, (offset_group + 1) * offset_width);
      runs.push_back(
          {offset_group, begin, end - begin, group * layout.group + begin - group * width});
      begin = end;
    }
    return runs;
  }

  /// [part of `taps` taps][group][panel of out channels][unit][lane][value], where units go over
  /// the taps and channels of a group's columns. The padding is zero.
  Buffer<Pixel> pack(const Geometry& g, const Tensor& weight, int64_t taps, int64_t workers) const {
    const int64_t panels = ceil_div(g.out_channels_per_group(), lanes()),
                  panel = depth(g, taps) * lanes(), parts = ceil_div(g.taps(), taps);
    const Tensor dense = as_contiguous(weight);
    Buffer<Pixel> packed(parts * g.groups * panels * panel, 0);
    pack_by_channel(g, static_cast<const Pixel*>(dense.data_ptr()), packing(workers),
                    [&](int64_t group, int64_t i, int64_t tap, int64_t c) {
                      return packed.data() +
                             ((tap / taps * g.groups + group) * panels + i) * panel +
                             (tap % taps * tap_depth(g) + c) * lanes();
                    });
    return packed;
  }

  void gather(const Samples<float, Pixel, Pixel>& samples, const Geometry& g,
              const ColumnLayout& layout, int64_t taps) const {
    const int64_t count = samples.last_tap - samples.first_tap;
    k_.gather(samples);
    if (count == taps) return;
    // What an earlier part left in the padding may be NaN, and zero times NaN is not zero.
    const int64_t used = count * layout.tap, padding = depth(g, count) - used;
    for (int64_t i = 0; i < samples.positions; ++i)
      for (int64_t group = 0; group < g.groups; ++group)
        std::fill_n(samples.columns + i * layout.position + group * layout.group + used, padding,
                    Pixel(0));
  }

  void multiply(const Geometry& g, const ColumnLayout& layout, const SliceTaps& at, int64_t taps,
                const Pixel* columns, const Pixel* weight, float* out, int64_t out_row) const {
    const int64_t panels = ceil_div(g.out_channels_per_group(), lanes()),
                  panel = layout.group * lanes();
    for (int64_t group = 0; group < g.groups; ++group)
      k_.multiply({at.positions, panels, depth(g, at.last_tap - at.first_tap),
                   columns + group * layout.group, layout.position,
                   weight + (at.first_tap / taps * g.groups + group) * panels * panel, panel,
                   lanes() * k_.unit, out + group * panels * lanes(), out_row, true});
  }

  /// [group][tap][panel of channels][unit][lane][value], where units go over the out channels.
  Buffer<Pixel> pack_transposed(const Geometry& g, const Tensor& weight, int64_t workers) const {
    const int64_t panels = ceil_div(g.channels_per_group(), lanes()),
                  panel = round_up(g.out_channels_per_group(), k_.depth_step) * lanes();
    const Tensor dense = as_contiguous(weight);
    Buffer<Pixel> packed(g.groups * g.taps() * panels * panel, 0);
    pack_by_out_channel(g, static_cast<const Pixel*>(dense.data_ptr()), packing(workers),
                        [&](int64_t group, int64_t tap, int64_t i, int64_t out) {
                          return packed.data() + ((group * g.taps() + tap) * panels + i) * panel +
                                 out * lanes();
                        });
    return packed;
  }

  /// [group][tap][padded out channel][padded channel].
  WeightSums weight_sums(const Geometry& g) const {
    const int64_t padded = round_up(g.channels_per_group(), lanes());
    return {round_up(g.out_channels_per_group(), row_step()) * padded, 1, padded};
  }

  void differentiate(const Differentiate<float, Pixel>& d, bool through_columns) const {
    if (through_columns) {
      k_.differentiate(d);
    } else {
      k_.gather_floats(d.samples);
    }
  }

  class Products {
   public:
    Products(const MatrixUnit& unit, const Geometry& g, const Slice& slice, int64_t positions,
             int64_t columns)
        : k_(unit.k_),
          g_(g),
          part_(g, slice),
          padded_(round_up(g.out_channels_per_group(), k_.depth_step)),
          row_(part_.groups * padded_),
          rows_(round_up(g.out_channels_per_group(), k_.row_step)),
          depth_(round_up(positions, k_.depth_step)),
          sums_(unit.weight_sums(g)),
          upstream_(round_up(positions, k_.row_step) * row_, 0),
          transposed_(part_.groups * rows_ * depth_, 0),
          packed_row_(columns),
          packed_(depth_ * columns, 0) {}

    /// Loads a tile of the output's gradient twice: [position][padded out channel], and
    /// [out channel][padded position].
    void load(const Strided<Pixel>& grad_output, int64_t n, const Tile& tile) {
      const int64_t outs = g_.out_channels_per_group(), positions = tile.positions(),
                    padding = round_up(positions, k_.depth_step) - positions;
      for (int64_t i = 0; i < part_.groups; ++i) {
        const int64_t first = (part_.first + i) * outs;
        Pixel* rows = transposed_.data() + i * rows_ * depth_;
        load_tile(grad_output, n, first, outs, tile, upstream_.data() + i * padded_, row_, 1);
        load_tile(grad_output, n, first, outs, tile, rows, 1, depth_);
        for (int64_t out = 0; out < outs; ++out)
          std::fill_n(rows + out * depth_ + positions, padding, Pixel(0));
      }
    }

    void column_gradients(const SliceTaps& at, const Pixel* weight,
                          const SliceColumns<float>& columns) {
      const int64_t group_panels = ceil_div(g_.channels_per_group(), k_.lanes),
                    panel = padded_ * k_.lanes;
      // A group writes beyond its channels; in this order, the next group overwrites that.
      for (int64_t tap = at.first_tap; tap < at.last_tap; ++tap)
        for (int64_t i = 0; i < part_.groups; ++i) {
          const int64_t first =
              ((part_.first + i) * g_.taps() + tap) * group_panels + part_.first_channel / k_.lanes;
          k_.multiply({at.positions, ceil_div(part_.width, k_.lanes), padded_,
                       upstream_.data() + i * padded_, row_, weight + first * panel, panel,
                       k_.lanes * k_.unit,
                       columns.first + (tap - at.first_tap) * columns.tap + i * part_.width,
                       columns.position, false});
        }
    }

    void add_weight_gradient(const SliceTaps& at, const SliceColumns<float>& columns, float* sums) {
      const int64_t depth = round_up(at.positions, k_.depth_step);
      k_.pack(at.positions, depth, packed_row_, columns.first, columns.position, packed_.data());
      for (int64_t tap = at.first_tap; tap < at.last_tap; ++tap)
        for (int64_t i = 0; i < part_.groups; ++i) {
          const int64_t column = (tap - at.first_tap) * columns.tap + i * part_.width;
          k_.multiply(
              {g_.out_channels_per_group(), ceil_div(part_.width, k_.lanes), depth,
               transposed_.data() + i * rows_ * depth_, depth_, packed_.data() + column * k_.unit,
               k_.lanes * k_.unit, packed_row_ * k_.unit,
               sums + ((part_.first + i) * g_.taps() + tap) * sums_.size + part_.first_channel,
               sums_.out, true});
        }
    }

   private:
    const MatrixKernels& k_;
    const Geometry& g_;
    const SliceGroups part_;
    const int64_t padded_, row_;  // out channels as a product's depth
    const int64_t rows_, depth_;  // out channels as its rows, and positions as its depth
    const WeightSums sums_;
    Buffer<Pixel> upstream_, transposed_;
    const int64_t packed_row_;
    Buffer<Pixel> packed_;  // the columns as its B: [unit of positions][column][value]
  };

 private:
  int64_t tap_depth(const Geometry& g) const { return round_up(g.channels_per_group(), k_.unit); }
  int64_t depth(const Geometry& g, int64_t taps) const {
    return round_up(taps * tap_depth(g), k_.depth_step);
  }
  Packing packing(int64_t workers) const { return {lanes(), k_.unit, k_.copy, workers}; }

  const MatrixKernels& k_;
  const ScalarType dtype_;
};

}  // namespace dcnbuild::cpu
