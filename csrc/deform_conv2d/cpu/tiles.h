// Divides a call into tiles of output positions, and loads the taps of a tile.
#pragma once

#include "common/cpu/strided.h"
#include "common/cpu/workers.h"

namespace dcnbuild::cpu {

/// A rectangle of output positions, in order of its rows.
struct Tile {
  int64_t row, column, rows, columns;
  int64_t positions() const { return rows * columns; }
};

/// The tiles of an image's output, nearly equal in size. They are nearly square, so that a tile
/// samples few pixels, which stay in L2.
class Tiling {
 public:
  Tiling(const Geometry& g, int64_t positions)
      : height_(g.out_height),
        width_(g.out_width),
        across_(ceil_div(g.out_width, kWidth)),
        columns_(ceil_div(g.out_width, across_)),
        down_(ceil_div(g.out_height, std::max<int64_t>(1, positions / columns_))),
        rows_(ceil_div(g.out_height, down_)) {}

  int64_t count() const { return across_ * down_; }
  int64_t largest() const { return rows_ * columns_; }
  Tile operator[](int64_t i) const {
    const int64_t row = i / across_ * height_ / down_,
                  next_row = (i / across_ + 1) * height_ / down_;
    const int64_t column = i % across_ * width_ / across_,
                  next_column = (i % across_ + 1) * width_ / across_;
    return {row, column, next_row - row, next_column - column};
  }

 private:
  static constexpr int64_t kWidth = 16;  // a cache line of float
  int64_t height_, width_, across_, columns_, down_, rows_;
};

/// The largest number of positions of a tile: a multiple of every instruction set's GEMM block, and
/// large enough that loading the weights from L3 costs little.
constexpr int64_t kTilePositions = 96;

/// The number of positions of a tile, so that the columns of at least one tap fit half of a core's
/// L2.
template <typename T>
int64_t tile_positions(const Geometry& g, int64_t channels) {
  constexpr int64_t bytes = 256 << 10;
  const int64_t share = g.batch * g.positions() / (4 * thread_count());
  const int64_t fitting = bytes / (channels * static_cast<int64_t>(sizeof(T)));
  return std::clamp<int64_t>(std::min(share, fitting), 24, kTilePositions);
}

/// The number of taps that are gathered and multiplied at a time, in nearly equal parts, so that
/// their columns and a panel of weights stay in L1 and L2.
template <typename T>
int64_t taps_at_once(const Geometry& g, int64_t positions, int64_t channels) {
  constexpr int64_t bytes = 128 << 10;
  const int64_t fitting = bytes / (positions * channels * static_cast<int64_t>(sizeof(T)));
  return ceil_div(g.taps(), ceil_div(g.taps(), std::clamp<int64_t>(fitting, 1, g.taps())));
}

/// The number of threads that pays for a call.
inline int64_t worker_count(const Geometry& g) {
  // In floating point, because the product of allowed sizes may overflow every integer.
  return workers_for(static_cast<double>(g.batch) * static_cast<double>(g.positions()) *
                     static_cast<double>(g.taps() * g.channels_per_group()) *
                     static_cast<double>(g.out_channels));
}

/// Copies channels [first, first + count) of a tile of image n to an array whose positions are
/// `position` apart and whose channels `channel` apart. It goes row by row: the other order, a
/// channel's rows one after another, took four times as long for many channels.
template <typename T>
void load_tile(const Strided<T>& from, int64_t n, int64_t first, int64_t count, const Tile& tile,
               T* to, int64_t position, int64_t channel) {
  for (int64_t row = 0; row < tile.rows; ++row, to += tile.columns * position)
    from.load(tile.columns, count, from.at(n, first, tile.row + row, tile.column), from.w, from.c,
              to, position, channel);
}

/// Copies such an array back.
template <typename T>
void store_tile(const Strided<T>& to, int64_t n, int64_t first, int64_t count, const Tile& tile,
                const T* from, int64_t position, int64_t channel) {
  for (int64_t row = 0; row < tile.rows; ++row, from += tile.columns * position)
    to.store(tile.columns, count, from, position, channel,
             to.at(n, first, tile.row + row, tile.column), to.w, to.c);
}

/// Share `part` of `parts` of a tile's channels [first, first + count), which the kernels may
/// prefetch; nothing where channels lie side by side, which CPUs foresee. It names the last
/// position of each row: the first ones are often in a cache line with the tile before.
template <typename T>
Ahead ahead_of(const Strided<T>& tensor, int64_t n, int64_t first, int64_t count, const Tile& tile,
               int64_t part, int64_t parts) {
  if (!tensor || tensor.w != 1) return {};
  const int64_t begin = count * part / parts, end = count * (part + 1) / parts;
  return {tensor.at(n, first + begin, tile.row, tile.column + tile.columns - 1), end - begin,
          tile.rows, tensor.c * tensor.size, tensor.h * tensor.size};
}

/// Loads the offsets and masks of offset groups [first_group, first_group + groups) for one tile at
/// a time.
template <typename T>
class TileTaps {
 public:
  TileTaps(const Geometry& g, const Strided<T>& offset, const Strided<T>& mask, int64_t first_group,
           int64_t groups, int64_t positions)
      : g_(g),
        offset_(offset),
        mask_(mask),
        first_(first_group * g.taps()),
        planes_(groups * g.taps()),
        padded_(round_up(positions, kBlock)),
        offsets_(2 * planes_ * padded_, T(0)),
        masks_(planes_ * padded_, T(1)),
        rows_(padded_, 0),
        columns_(padded_, 0),
        tap_rows_(g.taps()),
        tap_columns_(g.taps()) {
    for (int64_t k = 0; k < g.taps(); ++k) {
      tap_rows_[k] = static_cast<int32_t>(k / g.kernel_w * g.dilation_h);
      tap_columns_[k] = static_cast<int32_t>(k % g.kernel_w * g.dilation_w);
    }
  }

  Taps<T> load(int64_t n, const Tile& tile) {
    for (int64_t i = 0, row = 0; row < tile.rows; ++row)
      for (int64_t column = 0; column < tile.columns; ++column, ++i) {
        rows_[i] = static_cast<int32_t>((tile.row + row) * g_.stride_h - g_.padding_h);
        columns_[i] = static_cast<int32_t>((tile.column + column) * g_.stride_w - g_.padding_w);
      }
    load_tile(offset_, n, 2 * first_, 2 * planes_, tile, offsets_.data(), 1, padded_);
    if (mask_) load_tile(mask_, n, first_, planes_, tile, masks_.data(), 1, padded_);
    return {g_.taps(),       offsets_.data(),  masks_.data(),       padded_,   rows_.data(),
            columns_.data(), tap_rows_.data(), tap_columns_.data(), g_.height, g_.width};
  }

  Ahead offsets_ahead(int64_t n, const Tile& tile, int64_t part, int64_t parts) const {
    return ahead_of(offset_, n, 2 * first_, 2 * planes_, tile, part, parts);
  }
  Ahead masks_ahead(int64_t n, const Tile& tile, int64_t part, int64_t parts) const {
    return ahead_of(mask_, n, first_, planes_, tile, part, parts);
  }

 private:
  const Geometry& g_;
  const Strided<T>&offset_, &mask_;
  int64_t first_, planes_, padded_;
  Buffer<T> offsets_, masks_;
  Buffer<int32_t> rows_, columns_, tap_rows_, tap_columns_;
};

}  // namespace dcnbuild::cpu
