// Sums the value's gradient where samples meet every pixel often. Each thread takes heads of
// images, or slices of a head's channels where there are fewer heads than threads. Only that thread
// adds to its slice, in the order of the queries: so the sums are the same for any number of
// threads. A thread copies its slice of the value and sums its gradient in dense memory, which
// stays in the thread's caches and is as large as the slice of one image's value, twice.
#pragma once

#include "deform_attn/cpu/backward_worker.h"

namespace dcnbuild::cpu {

/// How one image's gradient is cut: into runs of heads, and a head's channels into slices.
struct Cuts {
  int64_t heads, channels;
  int64_t count() const { return heads * channels; }

  /// A run of heads fills four cache lines of a pixel, if that leaves a run for every worker.
  Cuts(const AttnGeometry& g, int64_t workers, int64_t lanes, int64_t size) {
    constexpr int64_t bytes = 256;
    const int64_t run = std::max<int64_t>(1, bytes / (g.channels * size));
    heads = std::min(g.heads, std::max(ceil_div(g.heads, run), ceil_div(workers, g.batch)));
    channels = std::clamp<int64_t>(workers / (g.batch * heads), 1, ceil_div(g.channels, lanes));
  }

  int64_t most_heads(const AttnGeometry& g) const { return ceil_div(g.heads, heads); }
  int64_t most_channels(const AttnGeometry& g, int64_t lanes) const {
    return std::min(g.channels, ceil_div(ceil_div(g.channels, lanes), channels) * lanes);
  }

  HeadSlice slice(const AttnGeometry& g, int64_t n, int64_t i, int64_t lanes) const {
    const int64_t run = i / channels, part = i % channels;
    const int64_t head = run * g.heads / heads, next = (run + 1) * g.heads / heads;
    const int64_t units = ceil_div(g.channels, lanes), begin = part * units / channels * lanes,
                  end = std::min((part + 1) * units / channels * lanes, g.channels);
    return {n, head, next - head, begin, end - begin};
  }
};

/// One worker's slice of the value and of its gradient: the tensors' own memory if the slice is a
/// whole image there, else dense copies.
template <typename T>
class SliceMemory {
 public:
  /// For slices of at most so many channels, heads' taken together.
  SliceMemory(const AttnCall<T>& call, const Strided<T>& grad, int64_t widest, bool reads_value)
      : g_(call.g),
        values_(call.values),
        grad_(grad),
        reads_value_(reads_value),
        value_in_place_(widest == g_.heads * g_.channels && !values_.copied()),
        grad_in_place_(widest == g_.heads * g_.channels && grad.size == sizeof(T)),
        row_(widest),
        size_(values_.size()),
        value_rows_(call.levels.rows(row_ * size_)),
        grad_rows_(call.levels.rows(row_ * static_cast<int64_t>(sizeof(T)))),
        value_(value_in_place_ || !reads_value ? 0 : g_.pixels * row_ * size_),
        sums_(grad_in_place_ ? 0 : g_.pixels * row_),
        zeros_(row_, T(0)) {}

  /// The value of a slice, and zeros for its gradient.
  ValueShare<T> begin(const HeadSlice& slice) const {
    constexpr int64_t size = sizeof(T);
    T* first = sums(slice);
    std::fill_n(first, g_.pixels * row_, T(0));
    ValueShare<T> share{};
    share.grad_value = {first, row_ * size, slice.channels * size, grad_rows_.data(), nullptr};
    share.channel = 1;  // of values in place too, or they would be copied
    if (!reads_value_) {
      share.value = share.grad_value;
    } else if (value_in_place_) {
      share.value = values_.pixels(slice.n, slice.head, slice.channel);
    } else {
      values_.copy(slice, 0, g_.pixels, value_.data(), row_);
      share.value = {value_.data(), row_ * size_, slice.channels * size_, value_rows_.data(),
                     zeros_.data()};
    }
    return share;
  }

  /// Stores the gradient's sums.
  void end(const HeadSlice& slice) const {
    if (grad_in_place_) return;
    for (int64_t head = 0; head < slice.heads; ++head)
      grad_.store(g_.pixels, slice.channels, sums(slice) + head * slice.channels, row_, 1,
                  grad_.at(slice.n, 0, slice.head + head, slice.channel), grad_.c, 1);
  }

 private:
  T* sums(const HeadSlice& slice) const {
    return grad_in_place_ ? reinterpret_cast<T*>(grad_.at(slice.n, 0, 0, 0)) : sums_.data();
  }

  const AttnGeometry& g_;
  const Values<T>& values_;
  const Strided<T>& grad_;  // contiguous
  const bool reads_value_, value_in_place_, grad_in_place_;
  const int64_t row_, size_;  // elements of a pixel here, and a value's bytes
  const Buffer<int64_t> value_rows_, grad_rows_;
  const Buffer<char> value_;
  const Buffer<T> sums_, zeros_;
};

/// Writes the value's gradient, and if one sweep can do both, those of the points. Returns whether
/// it did.
template <typename T>
bool sum_by_head(const BackwardCall<T>& call) {
  const AttnCall<T>& forward = call.forward;
  const AttnGeometry& g = forward.g;
  const int64_t lanes = kernels<T>().lanes;
  const Cuts cuts(g, forward.workers, lanes, sizeof(T));
  const bool points = cuts.channels == 1 && call.grads.points();
  const int64_t heads = cuts.most_heads(g), widest = heads * cuts.most_channels(g, lanes);
  Claims slices(g.batch * cuts.count(), forward.workers);
  on_workers(forward.workers, [&](int64_t) {
    AttendBackwardWorker<T> worker(call, heads);
    const SliceMemory<T> memory(forward, call.grads.value, widest, points);
    slices.work([&](int64_t i) {
      const HeadSlice slice = cuts.slice(g, i / cuts.count(), i % cuts.count(), lanes);
      const ValueShare<T> share = memory.begin(slice);
      const int64_t blocks = forward.query_blocks(heads);
      for (int64_t k = 0; k < blocks; ++k) {
        const auto block_at = [&](int64_t at) {
          return forward.block(slice.n, at, heads, slice.head, slice.heads);
        };
        const QueryBlock block = block_at(k);
        if (slice.heads < g.heads && k + 1 < blocks) worker.fetch(block_at(k + 1), slice);
        worker.run(block, slice.channels, worker.upstream(block, slice), share, points);
      }
      memory.end(slice);
    });
  });
  return points;
}

}  // namespace dcnbuild::cpu
