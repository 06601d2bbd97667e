// What forward and backward pass share: the levels, the points of some queries and the value's
// images, in the form that the kernels take.
#pragma once

#include <cstring>

#include "common/cpu/strided.h"
#include "common/cpu/workers.h"
#include "deform_attn/operands.h"

namespace dcnbuild::cpu {

/// The levels of a query's samples.
template <typename T>
class LevelTables {
 public:
  explicit LevelTables(const AttnGeometry& g)
      : samples_(g.samples()),
        padded_(round_up(g.samples(), kBlock)),
        heights_(padded_, 0),
        widths_(padded_, 0),
        starts_(padded_, 0),
        scales_(2 * padded_, T(0)) {
    for (int64_t i = 0; i < samples_; ++i) {
      const AttnLevel& level = g.level[i / g.points];
      heights_[i] = static_cast<int32_t>(level.height);
      widths_[i] = static_cast<int32_t>(level.width);
      starts_[i] = static_cast<int32_t>(level.start);
      const bool window = g.window.exists();
      scales_[i] = window ? static_cast<T>(g.window.scale) : static_cast<T>(level.height);
      scales_[padded_ + i] = window ? static_cast<T>(g.window.scale) : static_cast<T>(level.width);
    }
  }

  SampleLevels<T> view() const {
    return {samples_,       padded_,        heights_.data(),         widths_.data(),
            starts_.data(), scales_.data(), scales_.data() + padded_};
  }

  /// The bytes of a row of each sample's level, for pixels `step` bytes apart.
  Buffer<int64_t> rows(int64_t step) const {
    Buffer<int64_t> rows(padded_);
    for (int64_t i = 0; i < padded_; ++i) rows[i] = widths_[i] * step;
    return rows;
  }

 private:
  int64_t samples_, padded_;
  Buffer<int32_t> heights_, widths_, starts_;
  Buffer<T> scales_;  // of y, then of x
};

/// The queries of a block that has so many heads: as many as keep their points in L1.
inline int64_t queries_at_once(const AttnGeometry& g, int64_t heads) {
  constexpr int64_t samples = 512;
  return std::clamp<int64_t>(samples / (heads * round_up(g.samples(), kBlock)), 1,
                             std::max<int64_t>(1, g.queries));
}

/// Some queries and heads of one image.
struct QueryBlock {
  int64_t n, query, queries, head, heads;
};

/// Some heads of one image's value, or some channels of one head.
struct HeadSlice {
  int64_t n, head, heads, channel, channels;
  int64_t width() const { return heads * channels; }
};

/// Has rows of so many bytes on their way from memory.
template <int write>
inline void fetch_rows(const void* first, int64_t rows, int64_t step, int64_t bytes) {
  constexpr int64_t line = 64;
  const char* row = static_cast<const char*>(first);
  for (int64_t i = 0; i < rows; ++i, row += step)
    for (int64_t at = 0; at < bytes; at += line) __builtin_prefetch(row + at, write);
}

/// Locations and weights of one block of queries and at most `heads` heads at a time; of a window,
/// the taps are added to the offsets.
template <typename T>
class Points {
 public:
  Points(const AttnGeometry& g, const AttnOperands& t, int64_t heads)
      : g_(g),
        queries_(queries_at_once(g, heads)),
        locations_(point_view<const char>(t.locations)),
        weights_(point_view<const char>(t.weights)),
        size_(is_half(t.locations.scalar_type()) ? 2 : sizeof(T)),
        padded_(round_up(g.samples(), kBlock)),
        plane_(queries_ * heads * padded_),
        buffer_(3 * plane_, T(0)),
        taps_(2 * padded_, T(0)),
        shifts_(2 * queries_, static_cast<T>(kHalfPixel)),
        read_(kernel_for(kernels<T>().read_points, t.locations.scalar_type())) {
    if (!g.window.exists()) return;
    for (int32_t i = 0; i < static_cast<int32_t>(g.points); ++i) {
      taps_[i] = static_cast<T>(g.window.tap_y(i));
      taps_[padded_ + i] = static_cast<T>(g.window.tap_x(i));
    }
  }

  void read(const QueryBlock& block) const {
    read_({block.queries, block.heads, g_.levels, g_.points, padded_, at(locations_, block),
           at(weights_, block), y(), x(), weight()});
    if (g_.window.exists()) slide(block);
  }

  /// Has a block's rows on their way, if they are dense.
  void fetch(const QueryBlock& block) const {
    const int64_t row = block.heads * g_.samples() * size_;
    const PointView<const void> l = at(locations_, block), w = at(weights_, block);
    fetch_rows<0>(l.data, block.queries, l.query * size_, 2 * row);
    fetch_rows<0>(w.data, block.queries, w.query * size_, row);
  }

  T* y() const { return buffer_.data(); }
  T* x() const { return buffer_.data() + plane_; }
  T* weight() const { return buffer_.data() + 2 * plane_; }
  T* shift_y() const { return shifts_.data(); }
  T* shift_x() const { return shifts_.data() + queries_; }

 private:
  /// Adds the taps to a block's offsets, and puts the window where its queries are.
  void slide(const QueryBlock& block) const {
    const T *tap_y = taps_.data(), *tap_x = taps_.data() + padded_;
    T *row_y = y(), *row_x = x();
    for (int64_t row = 0; row < block.queries * block.heads; ++row) {
      for (int64_t i = 0; i < padded_; ++i) row_y[i] += tap_y[i], row_x[i] += tap_x[i];
      row_y += padded_, row_x += padded_;
    }
    for (int64_t i = 0; i < block.queries; ++i) {
      const int32_t query = static_cast<int32_t>(block.query + i);
      shift_y()[i] = static_cast<T>(g_.window.place_y(query));
      shift_x()[i] = static_cast<T>(g_.window.place_x(query));
    }
  }

  PointView<const void> at(const PointView<const char>& v, const QueryBlock& block) const {
    const int64_t first = block.n * v.n + block.query * v.query + block.head * v.head;
    return {v.data + first * size_, v.n, v.query, v.head, v.level, v.point, v.axis};
  }

  const AttnGeometry& g_;
  const int64_t queries_;  // the most of a block
  PointView<const char> locations_, weights_;
  int64_t size_, padded_, plane_;
  Buffer<T> buffer_;
  Buffer<T> taps_, shifts_;  // of y, then of x
  void (*read_)(const ReadPoints<T>&);
};

/// The corners of a head's samples, in whole blocks.
inline double corners_of_head(const AttnGeometry& g) {
  return 4 * static_cast<double>(g.queries) * static_cast<double>(round_up(g.samples(), kBlock));
}

/// Whether corners are so few that lists of them give the value's gradient sooner than sums in
/// memory. A list's places fit 31 bits.
inline bool corners_are_few(const AttnGeometry& g) {
  return corners_of_head(g) <= 4 * static_cast<double>(g.pixels) &&
         corners_of_head(g) < static_cast<double>(int64_t(1) << 31);
}

/// The value's images: read where they lie, or brought into the kernels' own form, some at a time,
/// where every pixel is read often and in pieces or with a conversion.
template <typename T>
class Values {
 public:
  Values(const AttnGeometry& g, const Tensor& value, const LevelTables<T>& levels)
      : g_(g),
        from_(value),
        copied_(worth_copying(g, value)),
        dtype_(copied_ ? dtype_of<T> : value.scalar_type()),
        size_(copied_ ? sizeof(T) : from_.size),
        pixel_(copied_ ? g.heads * g.channels : from_.c),
        head_(copied_ ? g.channels : from_.h),
        channel_(copied_ || g.channels == 1 ? 1 : from_.w),
        rows_(levels.rows(pixel_ * size_)),
        zeros_(g.channels, T(0)) {}

  bool copied() const { return copied_; }
  int64_t size() const { return size_; }
  ScalarType dtype() const { return dtype_; }
  int64_t channel() const { return channel_; }
  int64_t image_size() const { return g_.pixels * g_.heads * g_.channels; }

  /// Makes images [first, first + count) ready, on so many workers.
  void load(int64_t first, int64_t count, int64_t workers) {
    if (!copied_) return;
    constexpr int64_t pixels = 256;
    const int64_t blocks = ceil_div(g_.pixels, pixels);
    if (first == 0) copies_ = Buffer<T>(count * image_size());
    first_ = first;
    Claims items(count * blocks, workers);
    on_workers(workers, [&](int64_t) {
      items.work([&](int64_t i) {
        const int64_t image = i / blocks, begin = i % blocks * pixels;
        copy({first + image, 0, g_.heads, 0, g_.channels}, begin,
             std::min(pixels, g_.pixels - begin),
             copies_.data() + image * image_size() + begin * pixel_, pixel_);
      });
    });
  }

  /// Copies some pixels of a slice to rows of `to`, channels side by side, as elements of `dtype`.
  void copy(const HeadSlice& slice, int64_t begin, int64_t count, void* to, int64_t row) const {
    const bool joined = from_.h == slice.channels * from_.w;  // heads as one run of channels
    const int64_t runs = joined ? 1 : slice.heads, width = joined ? slice.width() : slice.channels;
    char* at = static_cast<char*>(to);
    for (int64_t i = 0; i < runs; ++i, at += width * size_) {
      const char* from = from_.at(slice.n, begin, slice.head + i, slice.channel);
      if (copied_ || size_ == sizeof(T)) {
        from_.load(count, width, from, from_.c, from_.w, at, row, 1);
      } else {
        for (int64_t pixel = 0; pixel < count; ++pixel)
          std::memcpy(at + pixel * row * size_, from + pixel * from_.c * size_, width * size_);
      }
    }
  }

  /// The pixels of image n as head `head` and the channels from `channel` on see them.
  LevelPixels pixels(int64_t n, int64_t head, int64_t channel) const {
    char* image = copied_ ? reinterpret_cast<char*>(copies_.data() + (n - first_) * image_size())
                          : from_.at(n, 0, 0, 0);
    return {image + (head * head_ + channel * channel_) * size_, pixel_ * size_, head_ * size_,
            rows_.data(), zeros_.data()};
  }

 private:
  static bool worth_copying(const AttnGeometry& g, const Tensor& value) {
    const bool dense = g.channels == 1 || value.stride(3) == 1;
    // bfloat16 is read in pairs as fast as a copy would be.
    if (dense && value.scalar_type() != ScalarType::Half) return false;
    return corners_of_head(g) > 2 * static_cast<double>(g.pixels) || !corners_are_few(g);
  }

  const AttnGeometry& g_;
  const Strided<T> from_;  // [n][pixel][head][channel]
  const bool copied_;
  const ScalarType dtype_;
  const int64_t size_, pixel_, head_, channel_;  // bytes of an element; the rest in elements
  const Buffer<int64_t> rows_;
  const Buffer<T> zeros_;
  Buffer<T> copies_;
  int64_t first_ = 0;
};

/// Everything that all threads read.
template <typename T>
struct AttnCall {
  const AttnGeometry& g;
  const AttnOperands& t;
  const LevelTables<T> levels;
  Values<T> values;
  int64_t workers;

  AttnCall(const AttnGeometry& geometry, const AttnOperands& operands)
      : g(geometry),
        t(operands),
        levels(geometry),
        values(geometry, operands.value, levels),
        workers(workers_for(static_cast<double>(g.batch) * static_cast<double>(g.queries) *
                            static_cast<double>(g.heads * g.samples()) * 4 *
                            static_cast<double>(g.channels))) {}

  /// The blocks of an image's queries that workers take which work on so many heads at most.
  int64_t query_blocks(int64_t most_heads) const {
    return ceil_div(g.queries, queries_at_once(g, most_heads));
  }

  /// The i-th of these blocks, for some heads.
  QueryBlock block(int64_t n, int64_t i, int64_t most_heads, int64_t head, int64_t heads) const {
    const int64_t at_once = queries_at_once(g, most_heads), first = i * at_once;
    return {n, first, std::min(at_once, g.queries - first), head, heads};
  }

  /// Bytes of a copy of one image.
  int64_t image_bytes() const { return values.image_size() * static_cast<int64_t>(sizeof(T)); }

  /// How many images to work on at once if each takes so many bytes: one at least.
  int64_t images_at_once(int64_t bytes) const {
    constexpr int64_t budget = 32 << 20;
    return std::clamp<int64_t>(budget / std::max<int64_t>(1, bytes), 1, g.batch);
  }
};

/// A tensor [N, Q, M * D] as [n][query][head][channel].
template <typename T>
Strided<T> by_head(const Tensor& t, const AttnGeometry& g) {
  return Strided<T>(viewed(t, {g.batch, g.queries, g.heads, g.channels}));
}

}  // namespace dcnbuild::cpu
