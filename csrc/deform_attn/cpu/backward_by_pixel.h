// Sums the value's gradient where samples meet each pixel seldom, as of a decoder's few queries.
// The sweep over the points lists the corners of their samples. Each head's list is then sorted by
// pixel, queries in their order. At last, threads take pixels, and write each once: nobody fills
// pixels with zeros first, and nobody reads them again. The order of every sum is the same for any
// number of threads. The lists of float take 68 bytes for a pixel and head at most.
#pragma once

#include "deform_attn/cpu/backward_worker.h"

namespace dcnbuild::cpu {

/// The lists of some images.
template <typename T>
class CornerSums {
 public:
  CornerSums(const BackwardCall<T>& call, int64_t images)
      : call_(call),
        g_(call.forward.g),
        corners_(4 * round_up(g_.samples(), kBlock)),
        numbers_(call.forward.levels.rows(1)),
        pixels_(images * g_.heads * entries()),
        weights_(images * g_.heads * entries()),
        touches_(images * g_.heads * entries()),
        starts_(images * g_.heads * starts()),
        upstream_(in_place(g_, call.grad_output) ? 0
                                                 : images * g_.queries * g_.heads * g_.channels) {}

  /// Bytes for one image.
  static int64_t bytes(const AttnGeometry& g) {
    const int64_t entries = g.queries * 4 * round_up(g.samples(), kBlock);
    const int64_t entry = sizeof(int32_t) + sizeof(T) + sizeof(Touch<T>);
    return g.heads * (entries * entry + g.pixels * static_cast<int64_t>(sizeof(int32_t)) +
                      g.queries * g.channels * static_cast<int64_t>(sizeof(T)));
  }

  /// The lists are of images from this one on.
  void begin(int64_t first) { first_ = first; }

  /// A block's share of the list, and of the output's gradient.
  void share(const QueryBlock& block, ValueShare<T>& share) const {
    const int64_t at = (block.n - first_) * g_.heads * entries() + block.query * corners_;
    share.grad_value = {nullptr, 1, 0, numbers_.data(), reinterpret_cast<void*>(g_.pixels)};
    share.corners = {pixels_.data() + at, weights_.data() + at, entries(), corners_};
  }
  T* upstream(const QueryBlock& block) const {
    return upstream_.data() +
           ((block.n - first_) * g_.queries + block.query) * g_.heads * g_.channels;
  }

  /// Sorts a head's list by pixel, by counting.
  void sort(int64_t n, int64_t head) const {
    const int64_t list = (n - first_) * g_.heads + head;
    const int32_t* pixel = pixels_.data() + list * entries();
    const T* weight = weights_.data() + list * entries();
    Touch<T>* touches = touches_.data() + list * entries();
    int32_t* starts = starts_.data() + list * this->starts();
    std::fill_n(starts, this->starts(), 0);
    for (int64_t i = 0; i < entries(); ++i) ++starts[pixel[i] + 2];
    for (int64_t i = 2; i < this->starts(); ++i) starts[i] += starts[i - 1];
    // starts[p + 1] moves from the start of pixel p's list to its end.
    for (int64_t query = 0, i = 0; query < g_.queries; ++query)
      for (int64_t k = 0; k < corners_; ++k, ++i)
        touches[starts[pixel[i] + 1]++] = {weight[i], static_cast<int32_t>(query)};
  }

  /// Writes the gradient of some pixels of an image. `memory` is for sums that are not the
  /// tensor's.
  void sum(int64_t n, int64_t begin, int64_t count, T* memory) const {
    const Strided<T>&grad = call_.grads.value, &from = call_.grad_output;
    const int64_t list = (n - first_) * g_.heads;
    const bool here = in_place(g_, from), there = grad.size == sizeof(T);
    char* to = grad.at(n, begin, 0, 0);
    SumCorners<T> s{};
    s.pixels = count, s.heads = g_.heads, s.channels = g_.channels;
    s.touches = touches_.data() + list * entries(), s.touches_head = entries();
    s.starts = starts_.data() + list * starts() + begin, s.starts_head = starts();
    s.upstream = here ? reinterpret_cast<const T*>(from.at(n, 0, 0, 0))
                      : upstream_.data() + (n - first_) * g_.queries * g_.heads * g_.channels;
    s.upstream_query = here ? from.c : g_.heads * g_.channels;
    s.upstream_head = here ? from.h : g_.channels;
    s.sums = there ? reinterpret_cast<T*>(to) : memory;
    kernels<T>().sum_corners(s);
    if (!there)
      grad.store(count * g_.heads, g_.channels, memory, g_.channels, 1, to, g_.channels, 1);
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
  const Buffer<int32_t> pixels_;
  const Buffer<T> weights_;
  const Buffer<Touch<T>> touches_;
  const Buffer<int32_t> starts_;
  const Buffer<T> upstream_;
  int64_t first_ = 0;
};

/// Writes the value's gradient of some images, whose lists are complete.
template <typename T>
void sum_by_pixel(const AttnCall<T>& call, const CornerSums<T>& sums, int64_t first,
                  int64_t images) {
  const AttnGeometry& g = call.g;
  constexpr int64_t bytes = 32 << 10;
  const int64_t width = g.heads * g.channels, size = sizeof(T),
                pixels = std::max<int64_t>(1, bytes / (width * size)),
                blocks = ceil_div(g.pixels, pixels);
  Claims lists(images * g.heads, call.workers);
  on_workers(call.workers, [&](int64_t) {
    lists.work([&](int64_t i) { sums.sort(first + i / g.heads, i % g.heads); });
  });
  Claims items(images * blocks, call.workers);
  on_workers(call.workers, [&](int64_t) {
    const Buffer<T> memory(pixels * width);
    items.work([&](int64_t i) {
      const int64_t begin = i % blocks * pixels;
      sums.sum(first + i / blocks, begin, std::min(pixels, g.pixels - begin), memory.data());
    });
  });
}

}  // namespace dcnbuild::cpu
