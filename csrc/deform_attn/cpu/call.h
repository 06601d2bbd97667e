// What forward and backward pass share: the levels, the points of some queries and the value's
// images, in the form that the kernels take.
#pragma once

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

/// A block of queries, for which memory is dealt out: as many as keep their points in L1.
inline int64_t queries_at_once(const AttnGeometry& g) {
  constexpr int64_t samples = 512;
  return std::clamp<int64_t>(samples / (g.heads * round_up(g.samples(), kBlock)), 1,
                             std::max<int64_t>(1, g.queries));
}

/// Some queries and heads of one image.
struct QueryBlock {
  int64_t n, query, queries, head, heads;
};

/// Locations and weights of one block of queries at a time; of a window, the taps are added to the
/// offsets.
template <typename T>
class Points {
 public:
  Points(const AttnGeometry& g, const AttnOperands& t)
      : g_(g),
        locations_(point_view<const char>(t.locations)),
        weights_(point_view<const char>(t.weights)),
        size_(is_half(t.locations.scalar_type()) ? 2 : sizeof(T)),
        padded_(round_up(g.samples(), kBlock)),
        plane_(queries_at_once(g) * g.heads * padded_),
        buffer_(3 * plane_, T(0)),
        taps_(2 * padded_, T(0)),
        shifts_(2 * queries_at_once(g), static_cast<T>(kHalfPixel)),
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

  T* y() const { return buffer_.data(); }
  T* x() const { return buffer_.data() + plane_; }
  T* weight() const { return buffer_.data() + 2 * plane_; }
  T* shift_y() const { return shifts_.data(); }
  T* shift_x() const { return shifts_.data() + queries_at_once(g_); }

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
  PointView<const char> locations_, weights_;
  int64_t size_, padded_, plane_;
  Buffer<T> buffer_;
  Buffer<T> taps_, shifts_;  // of y, then of x
  void (*read_)(const ReadPoints<T>&);
};

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
        copy_pixels(image, begin, std::min(pixels, g_.pixels - begin));
      });
    });
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
    // Every sample reads four pixels.
    return static_cast<double>(g.queries) * static_cast<double>(g.samples()) * 4 >
           static_cast<double>(g.pixels) * 2;
  }

  void copy_pixels(int64_t image, int64_t begin, int64_t count) const {
    T* to = copies_.data() + image * image_size() + begin * pixel_;
    if (from_.h == g_.channels * from_.w)
      return from_.load(count, g_.heads * g_.channels, from_.at(first_ + image, begin, 0, 0),
                        from_.c, from_.w, to, pixel_, 1);
    for (int64_t head = 0; head < g_.heads; ++head)
      from_.load(count, g_.channels, from_.at(first_ + image, begin, head, 0), from_.c, from_.w,
                 to + head * head_, pixel_, 1);
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

  int64_t query_blocks() const { return ceil_div(g.queries, queries_at_once(g)); }

  /// The i-th block of queries of image n, for some heads.
  QueryBlock block(int64_t n, int64_t i, int64_t head, int64_t heads) const {
    const int64_t first = i * queries_at_once(g);
    return {n, first, std::min(queries_at_once(g), g.queries - first), head, heads};
  }

  /// How many images to copy at once, one at least.
  int64_t images_at_once() const {
    constexpr int64_t budget = 32 << 20;
    const int64_t bytes = values.image_size() * static_cast<int64_t>(sizeof(T));
    return std::clamp<int64_t>(budget / std::max<int64_t>(1, bytes), 1, g.batch);
  }
};

/// A tensor [N, Q, M * D] as [n][query][head][channel].
template <typename T>
Strided<T> by_head(const Tensor& t, const AttnGeometry& g) {
  return Strided<T>(viewed(t, {g.batch, g.queries, g.heads, g.channels}));
}

}  // namespace dcnbuild::cpu
