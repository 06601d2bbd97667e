// A pass in float or double throughout. `VectorUnit` and `MatrixUnit` (matrix_unit.h) have the same
// members: what differs between them in how columns are stored, and how they are multiplied.
#pragma once

#include "deform_conv2d/cpu/images.h"
#include "deform_conv2d/cpu/slices.h"
#include "deform_conv2d/cpu/tiles.h"
#include "deform_conv2d/cpu/weights.h"

namespace dcnbuild::cpu {

/// Where the columns of a forward pass lie, in elements: from one position, one tap, and one weight
/// group to the next.
struct ColumnLayout {
  int64_t position, tap, group;
};

/// One tile's taps [first_tap, last_tap) of one slice in a backward pass.
struct SliceTaps {
  int64_t positions, first_tap, last_tap;
};

/// The columns of a slice, and before that their gradients: [position][tap][channel].
template <typename T>
struct SliceColumns {
  T* first;
  int64_t position, tap;
};

template <typename T>
class VectorUnit {
 public:
  using Sum = T;
  using Pixel = T;

  int64_t lanes() const { return kernels<T>().lanes; }
  int64_t row_step() const { return 1; }
  /// A pixel's dtype where the kernels can use an image in place.
  ScalarType dtype() const { return dtype_of<T>; }
  Strided<Pixel> pixels(const Tensor& t) const { return Strided<Pixel>(t); }

  ColumnLayout layout(const Geometry& g, int64_t taps) const {
    return {taps * g.channels, g.channels, g.channels_per_group()};
  }
  std::vector<Run> runs(const Geometry& g, const ColumnLayout& /*layout*/) const {
    std::vector<Run> runs;
    const int64_t count = g.channels_per_offset_group();
    for (int64_t i = 0; i < g.offset_groups; ++i) runs.push_back({i, i * count, count, i * count});
    return runs;
  }
  /// [group][panel of out channels][tap][channel][lane].
  Buffer<T> pack(const Geometry& g, const Tensor& weight, int64_t /*taps*/, int64_t workers) const {
    const DenseWeight<T> dense(weight);
    const int64_t lanes = this->lanes(), panels = ceil_div(g.out_channels_per_group(), lanes),
                  depth = g.taps() * g.channels_per_group();
    Buffer<T> packed(g.groups * panels * depth * lanes);
    pack_by_channel(g, dense.data(), packing(workers),
                    [&](int64_t group, int64_t panel, int64_t tap, int64_t c) {
                      return packed.data() +
                             ((group * panels + panel) * depth + tap * g.channels_per_group() + c) *
                                 lanes;
                    });
    return packed;
  }
  void gather(const Samples<T>& samples, const Geometry& /*g*/, const ColumnLayout& /*layout*/,
              int64_t /*taps*/) const {
    kernels<T>().gather(samples);
  }
  /// out += columns of taps [first_tap, last_tap) times their weights.
  void multiply(const Geometry& g, const ColumnLayout& layout, const SliceTaps& at,
                int64_t /*taps*/, const T* columns, const T* weight, T* out,
                int64_t out_row) const {
    const int64_t depth = g.channels_per_group(),
                  panels = ceil_div(g.out_channels_per_group(), lanes()),
                  panel = g.taps() * depth * lanes();
    for (int64_t group = 0; group < g.groups; ++group)
      kernels<T>().multiply({at.positions, panels, at.last_tap - at.first_tap, depth,
                             columns + group * layout.group, layout.position, layout.tap, 1,
                             weight + group * panels * panel + at.first_tap * depth * lanes(),
                             panel, depth * lanes(), lanes(), out + group * panels * lanes(),
                             out_row, true});
  }

  /// [group][tap][panel of channels][out channel][lane].
  Buffer<T> pack_transposed(const Geometry& g, const Tensor& weight, int64_t workers) const {
    const DenseWeight<T> dense(weight);
    const int64_t lanes = this->lanes(), panels = ceil_div(g.channels_per_group(), lanes),
                  outs = g.out_channels_per_group();
    Buffer<T> packed(g.groups * g.taps() * panels * outs * lanes);
    pack_by_out_channel(g, dense.data(), packing(workers),
                        [&](int64_t group, int64_t tap, int64_t panel, int64_t out) {
                          return packed.data() +
                                 (((group * g.taps() + tap) * panels + panel) * outs + out) * lanes;
                        });
    return packed;
  }
  /// The sums of the weight's gradient, [group][tap][channel][padded out channel].
  WeightSums weight_sums(const Geometry& g) const {
    const int64_t padded = round_up(g.out_channels_per_group(), lanes());
    return {g.channels_per_group() * padded, padded, 1};
  }
  void differentiate(const Differentiate<T>& d, bool through_columns) const {
    if (through_columns) {
      kernels<T>().differentiate(d);
    } else {
      kernels<T>().gather(d.samples);
    }
  }

  /// The products of one slice.
  class Products {
   public:
    Products(const VectorUnit& unit, const Geometry& g, const Slice& slice, int64_t positions,
             int64_t /*columns*/)
        : lanes_(unit.lanes()),
          g_(g),
          part_(g, slice),
          padded_(round_up(g.out_channels_per_group(), lanes_)),
          row_(part_.groups * padded_),
          upstream_(positions * row_, T(0)) {}

    /// Loads a tile of the output's gradient: [position][padded out channel].
    void load(const Strided<T>& grad_output, int64_t n, const Tile& tile) {
      const int64_t outs = g_.out_channels_per_group();
      for (int64_t i = 0; i < part_.groups; ++i)
        load_tile(grad_output, n, (part_.first + i) * outs, outs, tile,
                  upstream_.data() + i * padded_, row_, 1);
    }

    /// columns = the gradients of the columns.
    void column_gradients(const SliceTaps& at, const T* weight, const SliceColumns<T>& columns) {
      const int64_t outs = g_.out_channels_per_group(),
                    group_panels = ceil_div(g_.channels_per_group(), lanes_);
      // A group writes beyond its channels; in this order, the next group overwrites that.
      for (int64_t tap = at.first_tap; tap < at.last_tap; ++tap)
        for (int64_t i = 0; i < part_.groups; ++i) {
          const int64_t panel =
              ((part_.first + i) * g_.taps() + tap) * group_panels + part_.first_channel / lanes_;
          kernels<T>().multiply(
              {at.positions, ceil_div(part_.width, lanes_), 1, outs, upstream_.data() + i * padded_,
               row_, 0, 1, weight + panel * outs * lanes_, outs * lanes_, 0, lanes_,
               columns.first + (tap - at.first_tap) * columns.tap + i * part_.width,
               columns.position, false});
        }
    }

    /// sums += the weight's gradient.
    void add_weight_gradient(const SliceTaps& at, const SliceColumns<T>& columns, T* sums) {
      for (int64_t tap = at.first_tap; tap < at.last_tap; ++tap)
        for (int64_t i = 0; i < part_.groups; ++i) {
          const int64_t row =
              ((part_.first + i) * g_.taps() + tap) * g_.channels_per_group() + part_.first_channel;
          kernels<T>().multiply(
              {part_.width, padded_ / lanes_, 1, at.positions,
               columns.first + (tap - at.first_tap) * columns.tap + i * part_.width, 1, 0,
               columns.position, upstream_.data() + i * padded_, lanes_, 0, row_,
               sums + row * padded_, padded_, true});
        }
    }

   private:
    const int64_t lanes_;
    const Geometry& g_;
    const SliceGroups part_;
    const int64_t padded_, row_;
    Buffer<T> upstream_;
  };

 private:
  Packing packing(int64_t workers) const { return {lanes(), 1, kernels<T>().copy, workers}; }
};

}  // namespace dcnbuild::cpu
