// How a call is cut into tiles of output positions, and the taps of one tile.
#pragma once

#include <atomic>

#include "strided.h"

namespace dcnbuild::cpu {

/// A rectangle of output positions, taken row by row.
struct Tile {
  int64_t row, column, rows, columns;
  int64_t positions() const { return rows * columns; }
};

/// The tiles of an image's output, nearly equal in size. They are nearly square because the pixels
/// that a tile samples are then fewest, and stay in L2.
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

/// The most positions of a tile: a multiple of every instruction set's GEMM block, and enough to
/// make little of the weights' way from L3.
constexpr int64_t kTilePositions = 96;

/// The positions of a tile whose columns, at least one tap of them, fit into half of a core's L2.
template <typename T>
int64_t tile_positions(const Geometry& g, int64_t channels) {
  constexpr int64_t bytes = 256 << 10;
  const int64_t share = g.batch * g.positions() / (4 * thread_count());
  const int64_t fitting = bytes / (channels * static_cast<int64_t>(sizeof(T)));
  return std::clamp<int64_t>(std::min(share, fitting), 24, kTilePositions);
}

/// How many of the taps are gathered and multiplied at a time: as many as keep their columns and a
/// panel of weights in L1 and L2, in nearly equal parts.
template <typename T>
int64_t taps_at_once(const Geometry& g, int64_t positions, int64_t channels) {
  constexpr int64_t bytes = 128 << 10;
  const int64_t fitting = bytes / (positions * channels * static_cast<int64_t>(sizeof(T)));
  return ceil_div(g.taps(), ceil_div(g.taps(), std::clamp<int64_t>(fitting, 1, g.taps())));
}

/// The number of threads that a call is worth.
inline int64_t worker_count(const Geometry& g) {
  constexpr int64_t least = 1 << 19;  // multiplications for which waking a thread pays
  const int64_t work = g.batch * g.positions() * g.taps() * g.channels_per_group() * g.out_channels;
  return std::clamp<int64_t>(work / least, 1, thread_count());
}

/// Deals items out to whichever worker asks, in ever smaller runs.
class Claims {
 public:
  Claims(int64_t items, int64_t workers) : items_(items), workers_(workers) {}

  /// Calls body(item) for a run of items until none is left.
  template <typename F>
  void work(const F& body) {
    for (int64_t begin = next_.load(); begin < items_;) {
      const int64_t end = begin + std::max<int64_t>(1, (items_ - begin) / (4 * workers_));
      if (!next_.compare_exchange_weak(begin, end)) continue;
      for (int64_t item = begin; item < end; ++item) body(item);
      begin = next_.load();
    }
  }

 private:
  const int64_t items_, workers_;
  std::atomic<int64_t> next_{0};
};

/// Calls body() on each of several workers.
template <typename F>
void on_workers(int64_t workers, const F& body) {
  parallel_for(workers, 1, [&](int64_t begin, int64_t end) {
    for (int64_t worker = begin; worker < end; ++worker) body(worker);
  });
}

/// Locates the taps of offset groups [first_group, first_group + groups), a tile at a time.
template <typename T>
class Locator {
 public:
  Locator(const Geometry& g, const Strided<T>& offset, const Strided<T>& mask, int64_t first_group,
          int64_t groups, int64_t positions, bool fractions)
      : g_(g),
        offset_(offset),
        mask_(mask),
        first_group_(first_group),
        groups_(groups),
        padded_(round_up(positions, kBlock)),
        origins_(2 * (padded_ + g.taps()), T(0)),
        offsets_(g.taps() * groups * 3 * padded_, T(1)),
        blocks_(padded_ / kBlock * g.taps() * groups),
        fractions_(fractions ? padded_ / kBlock * g.taps() * groups : 0) {
    for (int64_t k = 0; k < g.taps(); ++k) {
      tap_rows()[k] = static_cast<T>(k / g.kernel_w * g.dilation_h);
      tap_columns()[k] = static_cast<T>(k % g.kernel_w * g.dilation_w);
    }
    if (!fractions) fractions_ = {};
  }

  void locate(int64_t n, const Tile& tile) {
    for (int64_t i = 0, row = 0; row < tile.rows; ++row)
      for (int64_t column = 0; column < tile.columns; ++column, ++i) {
        rows()[i] = static_cast<T>((tile.row + row) * g_.stride_h - g_.padding_h);
        columns()[i] = static_cast<T>((tile.column + column) * g_.stride_w - g_.padding_w);
      }
    T* plane = offsets_.data();
    for (int64_t k = 0; k < g_.taps(); ++k)
      for (int64_t group = first_group_; group < first_group_ + groups_; ++group) {
        const int64_t channel = group * g_.taps() + k;
        load(offset_, n, 2 * channel, tile, plane);
        load(offset_, n, 2 * channel + 1, tile, plane + padded_);
        if (mask_) load(mask_, n, channel, tile, plane + 2 * padded_);
        plane += 3 * padded_;
      }
    kernels<T>().locate({tile.positions(), g_.taps(), groups_, offsets_.data(), padded_, rows(),
                         columns(), tap_rows(), tap_columns(), g_.height, g_.width, blocks_.data(),
                         fractions_.data()});
  }

  const TapBlock<T>* blocks() const { return blocks_.data(); }
  const TapFractions<T>* fractions() const { return fractions_.data(); }
  int64_t groups() const { return groups_; }

 private:
  static void load(const Strided<T>& from, int64_t n, int64_t c, const Tile& tile, T* to) {
    from.load(tile.rows, tile.columns, from.at(n, c, tile.row, tile.column), from.h, from.w, to,
              tile.columns, 1);
  }
  T* rows() const { return origins_.data(); }
  T* columns() const { return rows() + padded_; }
  T* tap_rows() const { return columns() + padded_; }
  T* tap_columns() const { return tap_rows() + g_.taps(); }

  const Geometry& g_;
  const Strided<T>&offset_, &mask_;
  int64_t first_group_, groups_, padded_;
  Buffer<T> origins_, offsets_;
  Buffer<TapBlock<T>> blocks_;
  Buffer<TapFractions<T>> fractions_;
};

}  // namespace dcnbuild::cpu
