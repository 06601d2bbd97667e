// The forward pass. It brings a few images at a time into the kernels' order, and gives tiles to
// the threads. Of each tile, it gathers some taps at a time into columns, and multiplies them.
#pragma once

#include "deform_conv2d/cpu/matrix_unit.h"
#include "deform_conv2d/operands.h"

namespace dcnbuild::cpu {

/// Bytes of images that are brought into the kernels' order at once; at least one image.
constexpr int64_t kImageBytes = 4 << 20;

/// The data that all threads read in a forward pass.
template <typename Unit>
struct ForwardCall {
  using Sum = typename Unit::Sum;
  using Pixel = typename Unit::Pixel;
  const Geometry& g;
  const Unit& unit;
  Strided<Pixel> input;
  Strided<Sum> offset, mask, output;
  Tiling tiling;
  int64_t taps_at_once, out_row;  // out_row: a position of the output tile, groups padded to panels
  ColumnLayout layout;
  std::vector<Run> runs;
  Buffer<Pixel> weight, zeros;
  Buffer<Sum> bias;
};

/// One thread's share of a forward pass.
template <typename Unit>
class ForwardWorker {
 public:
  using Sum = typename Unit::Sum;
  using Pixel = typename Unit::Pixel;
  explicit ForwardWorker(const ForwardCall<Unit>& call)
      : call_(call),
        taps_(call.g, call.offset, call.mask, 0, call.g.offset_groups, call.tiling.largest()),
        columns_(rows() * call.layout.position, Pixel(0)),
        tile_(rows() * call.out_row) {}

  /// Computes a tile of image n; `next` is probably this thread's next one.
  void run(int64_t n, const Tile& tile, const Tile& next, const Pixels<const Pixel>& image) {
    const Geometry& g = call_.g;
    const Taps<Sum> taps = taps_.load(n, tile);
    for (int64_t i = 0; i < tile.positions(); ++i)
      std::copy_n(call_.bias.data(), call_.out_row, tile_.data() + i * call_.out_row);
    for (int64_t tap = 0; tap < g.taps(); tap += call_.taps_at_once) {
      const int64_t last = std::min(tap + call_.taps_at_once, g.taps());
      const int64_t part = tap / call_.taps_at_once, parts = ceil_div(g.taps(), call_.taps_at_once);
      call_.unit.gather(
          {tile.positions(),
           tap,
           last,
           taps,
           call_.runs.data(),
           static_cast<int64_t>(call_.runs.size()),
           image,
           columns_.data(),
           call_.layout.position,
           call_.layout.tap,
           {taps_.offsets_ahead(n, next, part, parts), taps_.masks_ahead(n, next, part, parts),
            ahead_of(call_.output, n, 0, g.out_channels, tile, part, parts)}},
          g, call_.layout, call_.taps_at_once);
      call_.unit.multiply(g, call_.layout, {tile.positions(), tap, last}, call_.taps_at_once,
                          columns_.data(), call_.weight.data(), tile_.data(), call_.out_row);
    }
    store(n, tile);
  }

 private:
  int64_t rows() const { return round_up(call_.tiling.largest(), call_.unit.row_step()); }

  void store(int64_t n, const Tile& tile) {
    const Geometry& g = call_.g;
    const int64_t outs = g.out_channels_per_group(), padded = call_.out_row / g.groups;
    for (int64_t group = 0; group < g.groups; ++group)
      store_tile(call_.output, n, group * outs, outs, tile, tile_.data() + group * padded,
                 call_.out_row, 1);
  }

  const ForwardCall<Unit>& call_;
  TileTaps<Sum> taps_;
  Buffer<Pixel> columns_;
  Buffer<Sum> tile_;
};

/// The bias as one padded position of the output tile.
template <typename T>
Buffer<T> padded_bias(const Geometry& g, const std::optional<Tensor>& bias, int64_t padded) {
  Buffer<T> row(g.groups * padded, T(0));
  if (!bias) return row;
  const Tensor dense = as_contiguous(cast(*bias, dtype_of<T>));
  const T* from = static_cast<const T*>(dense.data_ptr());
  for (int64_t group = 0; group < g.groups; ++group, from += g.out_channels_per_group())
    std::copy_n(from, g.out_channels_per_group(), row.data() + group * padded);
  return row;
}

template <typename Unit>
void forward(const Unit& unit, const Geometry& g, const Operands& t,
             const std::optional<Tensor>& bias, const Tensor& output) {
  using Sum = typename Unit::Sum;
  using Pixel = typename Unit::Pixel;
  const int64_t threads = worker_count(g),
                padded = round_up(g.out_channels_per_group(), unit.lanes());
  const Tiling tiling(g, tile_positions<Pixel>(g, g.channels));
  const int64_t taps = taps_at_once<Pixel>(g, tiling.largest(), g.channels);
  const ColumnLayout layout = unit.layout(g, taps);
  const ForwardCall<Unit> call{g,
                               unit,
                               unit.pixels(t.input),
                               Strided<Sum>(t.offset),
                               Strided<Sum>(t.mask),
                               Strided<Sum>(output),
                               tiling,
                               taps,
                               g.groups * padded,
                               layout,
                               unit.runs(g, layout),
                               unit.pack(g, t.weight, taps, threads),
                               Buffer<Pixel>(g.channels, Pixel(0)),
                               padded_bias<Sum>(g, bias, padded)};

  const bool in_place = is_pixel_major(t.input, unit.dtype());
  const int64_t pixels = g.height * g.width,
                image_bytes = pixels * g.channels * static_cast<int64_t>(sizeof(Pixel));
  const int64_t at_once =
      in_place ? g.batch
               : std::clamp<int64_t>(kImageBytes / std::max<int64_t>(1, image_bytes), 1, g.batch);
  const Buffer<Pixel> copies(in_place ? 0 : at_once * pixels * g.channels);
  for (int64_t first = 0; first < g.batch; first += at_once) {
    const int64_t count = std::min(at_once, g.batch - first);
    if (!in_place) {
      Claims rows(count * g.height, threads);
      on_workers(threads, [&](int64_t) {
        rows.work([&](int64_t i) {
          const int64_t y = i % g.height;
          load_row(g, call.input, first + i / g.height, y, 0, call.runs,
                   copies.data() + i / g.height * pixels * g.channels);
        });
      });
    }
    Claims tiles(count * tiling.count(), threads);
    on_workers(threads, [&](int64_t) {
      ForwardWorker<Unit> worker(call);
      tiles.work([&](int64_t i) {
        const int64_t at = i / tiling.count(), n = first + at;
        const Pixel* own = reinterpret_cast<const Pixel*>(call.input.at(n, 0, 0, 0));
        const Pixel* copy = copies.data() + at * pixels * g.channels;
        worker.run(n, tiling[i % tiling.count()], tiling[(i + 1) % tiling.count()],
                   in_place ? Pixels<const Pixel>{own, call.input.w, 0, call.zeros.data()}
                            : Pixels<const Pixel>{copy, 0, pixels, call.zeros.data()});
      });
    });
  }
}

}  // namespace dcnbuild::cpu
