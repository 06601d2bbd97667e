// The forward pass. It brings a few images at a time into the kernels' order, and gives tiles to
// the threads. Of each tile, it gathers some taps at a time into columns, and multiplies them.
#pragma once

#include "deform_conv2d/cpu/images.h"
#include "deform_conv2d/cpu/tiles.h"
#include "deform_conv2d/cpu/weights.h"
#include "deform_conv2d/operands.h"

namespace dcnbuild::cpu {

/// Bytes of images that are brought into the kernels' order at once; at least one image.
constexpr int64_t kImageBytes = 4 << 20;

/// The data that all threads read in a forward pass.
template <typename T>
struct ForwardCall {
  const Geometry& g;
  Strided<T> input, offset, mask, output;
  Tiling tiling;
  int64_t taps_at_once, out_row;  // out_row: a position of the output tile, groups padded to panels
  Buffer<T> weight, bias, zeros;
  std::vector<Run> runs;
};

/// One thread's share of a forward pass.
template <typename T>
class ForwardWorker {
 public:
  explicit ForwardWorker(const ForwardCall<T>& call)
      : call_(call),
        taps_(call.g, call.offset, call.mask, 0, call.g.offset_groups, call.tiling.largest()),
        columns_(call.tiling.largest() * column_row()),
        tile_(call.tiling.largest() * call.out_row) {}

  void run(int64_t n, const Tile& tile, const Pixels<const T>& image) {
    const Geometry& g = call_.g;
    const Taps<T> taps = taps_.load(n, tile);
    for (int64_t i = 0; i < tile.positions(); ++i)
      std::copy_n(call_.bias.data(), call_.out_row, tile_.data() + i * call_.out_row);
    for (int64_t tap = 0; tap < g.taps(); tap += call_.taps_at_once) {
      const int64_t last = std::min(tap + call_.taps_at_once, g.taps());
      kernels<T>().gather({tile.positions(), tap, last, taps, call_.runs.data(),
                           static_cast<int64_t>(call_.runs.size()), image, columns_.data(),
                           column_row(), g.channels});
      multiply(tile.positions(), tap, last);
    }
    store(n, tile);
  }

 private:
  int64_t column_row() const { return call_.taps_at_once * call_.g.channels; }

  void multiply(int64_t positions, int64_t first_tap, int64_t last_tap) {
    const Geometry& g = call_.g;
    const int64_t lanes = kernels<T>().lanes, depth = g.channels_per_group(),
                  panels = ceil_div(g.out_channels_per_group(), lanes),
                  panel = g.taps() * depth * lanes;
    for (int64_t group = 0; group < g.groups; ++group)
      kernels<T>().multiply(
          {positions, panels, last_tap - first_tap, depth, columns_.data() + group * depth,
           column_row(), g.channels, 1,
           call_.weight.data() + group * panels * panel + first_tap * depth * lanes, panel,
           depth * lanes, lanes, tile_.data() + group * panels * lanes, call_.out_row, true});
  }

  void store(int64_t n, const Tile& tile) {
    const Geometry& g = call_.g;
    const int64_t outs = g.out_channels_per_group(), padded = call_.out_row / g.groups;
    for (int64_t group = 0; group < g.groups; ++group)
      store_tile(call_.output, n, group * outs, outs, tile, tile_.data() + group * padded,
                 call_.out_row, 1);
  }

  const ForwardCall<T>& call_;
  TileTaps<T> taps_;
  Buffer<T> columns_, tile_;
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

template <typename T>
void forward(const Geometry& g, const Operands& t, const std::optional<Tensor>& bias,
             const Tensor& output) {
  const int64_t threads = worker_count(g),
                padded = round_up(g.out_channels_per_group(), kernels<T>().lanes);
  const Tiling tiling(g, tile_positions<T>(g, g.channels));
  ForwardCall<T> call{g,
                      Strided<T>(t.input),
                      Strided<T>(t.offset),
                      Strided<T>(t.mask),
                      Strided<T>(output),
                      tiling,
                      taps_at_once<T>(g, tiling.largest(), g.channels),
                      g.groups * padded,
                      pack_weight<T>(g, t.weight, threads),
                      padded_bias<T>(g, bias, padded),
                      Buffer<T>(g.channels, T(0)),
                      {}};
  for (int64_t group = 0; group < g.offset_groups; ++group)
    call.runs.push_back(
        {group, group * g.channels_per_offset_group(), g.channels_per_offset_group()});

  const bool in_place = is_pixel_major<T>(t.input);
  const int64_t pixels = g.height * g.width,
                image_bytes = pixels * g.channels * static_cast<int64_t>(sizeof(T));
  const int64_t at_once =
      in_place ? g.batch
               : std::clamp<int64_t>(kImageBytes / std::max<int64_t>(1, image_bytes), 1, g.batch);
  const Buffer<T> copies(in_place ? 0 : at_once * pixels * g.channels);
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
      ForwardWorker<T> worker(call);
      tiles.work([&](int64_t i) {
        const int64_t at = i / tiling.count(), n = first + at;
        const T* own = reinterpret_cast<const T*>(call.input.at(n, 0, 0, 0));
        const T* copy = copies.data() + at * pixels * g.channels;
        worker.run(n, tiling[i % tiling.count()],
                   in_place ? Pixels<const T>{own, call.input.w, 0, call.zeros.data()}
                            : Pixels<const T>{copy, 0, pixels, call.zeros.data()});
      });
    });
  }
}

}  // namespace dcnbuild::cpu
