// Sums the value's gradient where samples meet each pixel seldom, as of a decoder's few queries.
// The sweep over the points lists the corners of their samples. Each head's corners are then sorted
// by pixel, queries in their order. At last, threads take some pixels at a time, and write
// their sums in the gradient's dtype. The order of every sum is the same for any number of threads.
// The lists of float take 52 bytes for a pixel and head at most.
#pragma once

#include "deform_attn/cpu/backward_worker.h"

namespace dcnbuild::cpu {

/// The lists of some images.
template <typename T>
class CornerSums {
 public:
  /// `dtype` is that of the value's gradient.
  CornerSums(const BackwardCall<T>& call, ScalarType dtype, int64_t images)
      : call_(call),
        g_(call.forward.g),
        corners_(4 * round_up(g_.samples(), kBlock)),
        numbers_(call.forward.levels.rows(1)),
        blocks_(images * g_.heads * entries() / kBlock),
        order_(images * g_.heads * entries()),
        starts_(images * g_.heads * starts()),
        upstream_(in_place(g_, call.grad_output) ? 0
                                                 : images * g_.queries * g_.heads * g_.channels),
        sum_(kernel_for(kernels<T>().sum_corners, dtype)) {}

  /// Bytes for one image.
  static int64_t bytes(const AttnGeometry& g) {
    const int64_t entries = g.queries * 4 * round_up(g.samples(), kBlock);
    const int64_t entry = sizeof(CornerBlock<T>) / kBlock + sizeof(int32_t);
    return g.heads * (entries * entry + g.pixels * static_cast<int64_t>(sizeof(int32_t)) +
                      g.queries * g.channels * static_cast<int64_t>(sizeof(T)));
  }

  /// Bytes of an element of the gradient.
  int64_t size() const { return call_.grads.value.size; }

  /// The lists are of images from this one on.
  void begin(int64_t first) { first_ = first; }

  /// A block's share of the list, and of the output's gradient.
  void share(const QueryBlock& block, ValueShare<T>& share) const {
    const int64_t at = (block.n - first_) * g_.heads * entries() + block.query * corners_;
    share.grad_value = {nullptr, 1, 0, numbers_.data(), reinterpret_cast<void*>(g_.pixels)};
    share.corners = {blocks_.data() + at / kBlock, entries() / kBlock, corners_ / kBlock};
  }
  T* upstream(const QueryBlock& block) const {
    return upstream_.data() +
           ((block.n - first_) * g_.queries + block.query) * g_.heads * g_.channels;
  }

  /// Sorts a head's corners by pixel, by counting.
  void sort(int64_t n, int64_t head) const {
    const int64_t list = (n - first_) * g_.heads + head;
    const CornerBlock<T>* first = blocks_.data() + list * entries() / kBlock;
    const CornerBlock<T>* last = first + entries() / kBlock;
    int32_t* order = order_.data() + list * entries();
    int32_t* starts = starts_.data() + list * this->starts();
    std::fill_n(starts, this->starts(), 0);
    for (const CornerBlock<T>* block = first; block != last; ++block)
      for (const int32_t pixel : block->pixel) ++starts[pixel + 2];
    for (int64_t i = 2; i < this->starts(); ++i) starts[i] += starts[i - 1];
    // starts[p + 1] moves from the start of pixel p's corners to their end.
    int32_t corner = 0;
    for (const CornerBlock<T>* block = first; block != last; ++block)
      for (const int32_t pixel : block->pixel) order[starts[pixel + 1]++] = corner++;
  }

  /// Writes the gradient of some pixels of an image.
  void sum(int64_t n, int64_t begin, int64_t count) const {
    const Strided<T>& from = call_.grad_output;
    const int64_t list = (n - first_) * g_.heads;
    const bool here = in_place(g_, from);
    SumCorners<T> s{};
    s.first = begin, s.pixels = count, s.heads = g_.heads, s.channels = g_.channels;
    s.corners = blocks_.data() + list * entries() / kBlock, s.corners_head = entries() / kBlock;
    s.corners_query = corners_;
    s.order = order_.data() + list * entries(), s.order_head = entries();
    s.starts = starts_.data() + list * starts() + begin, s.starts_head = starts();
    s.upstream = here ? reinterpret_cast<const T*>(from.at(n, 0, 0, 0))
                      : upstream_.data() + (n - first_) * g_.queries * g_.heads * g_.channels;
    s.upstream_query = here ? from.c : g_.heads * g_.channels;
    s.upstream_head = here ? from.h : g_.channels;
    s.split = call_.split;
    s.sums = call_.grads.value.at(n, begin, 0, 0);
    sum_(s);
  }

 private:
  /// Of one head's list.
  int64_t entries() const { return g_.queries * corners_; }
  /// One for each pixel, for those outside, and for the end; one more is needed while sorting.
  int64_t starts() const { return g_.pixels + 3; }

  const BackwardCall<T>& call_;
  const AttnGeometry& g_;
  const int64_t corners_;          // of one query and head
  const Buffer<int64_t> numbers_;  // pixels of a row
  const Buffer<CornerBlock<T>> blocks_;
  const Buffer<int32_t> order_, starts_;
  const Buffer<T> upstream_;
  void (*sum_)(const SumCorners<T>&);
  int64_t first_ = 0;
};

/// Writes the value's gradient of some images, whose lists are complete.
template <typename T>
void sum_by_pixel(const AttnCall<T>& call, const CornerSums<T>& sums, int64_t first,
                  int64_t images) {
  const AttnGeometry& g = call.g;
  constexpr int64_t bytes = 64 << 10;
  const int64_t pixel = g.heads * g.channels * sums.size(),
                pixels = std::max<int64_t>(1, bytes / pixel), blocks = ceil_div(g.pixels, pixels);
  Claims lists(images * g.heads, call.workers);
  on_workers(call.workers, [&](int64_t) {
    lists.work([&](int64_t i) { sums.sort(first + i / g.heads, i % g.heads); });
  });
  Claims items(images * blocks, call.workers);
  on_workers(call.workers, [&](int64_t) {
    items.work([&](int64_t i) {
      const int64_t begin = i % blocks * pixels;
      sums.sum(first + i / blocks, begin, std::min(pixels, g.pixels - begin));
    });
  });
}

}  // namespace dcnbuild::cpu
