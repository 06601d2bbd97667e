// The forward pass: blocks of queries dealt out to the threads.
#pragma once

#include "deform_attn/cpu/call.h"

namespace dcnbuild::cpu {

/// One thread's share of a forward pass.
template <typename T>
class AttendWorker {
 public:
  AttendWorker(const AttnCall<T>& call, const Strided<T>& output)
      : call_(call),
        output_(output),
        in_place_(output.size == sizeof(T)),
        points_(call.g, call.t, call.g.heads),
        sums_(in_place_ ? 0
                        : queries_at_once(call.g, call.g.heads) * call.g.heads * call.g.channels),
        attend_(kernel_for(kernels<T>().attend, call.values.dtype())) {}

  void run(const QueryBlock& block) const {
    const AttnGeometry& g = call_.g;
    const int64_t row = g.heads * g.channels;
    char* output = output_.at(block.n, block.query, 0, 0);
    T* sums = in_place_ ? reinterpret_cast<T*>(output) : sums_.data();
    points_.read(block);
    attend_({block.queries, g.heads, g.channels, call_.levels.view(), points_.y(), points_.x(),
             points_.weight(), points_.shift_y(), points_.shift_x(),
             call_.values.pixels(block.n, 0, 0), call_.values.channel(), sums, row, g.channels});
    if (!in_place_) output_.store(block.queries, row, sums, row, 1, output, output_.c, 1);
  }

 private:
  const AttnCall<T>& call_;
  const Strided<T>& output_;  // contiguous
  const bool in_place_;
  const Points<T> points_;
  const Buffer<T> sums_;
  void (*attend_)(const Attend<T>&);
};

template <typename T>
void attend_forward(const AttnGeometry& g, const AttnOperands& t, const Tensor& output) {
  AttnCall<T> call(g, t);
  const Strided<T> out = by_head<T>(output, g);
  const int64_t at_once = call.values.copied() ? call.images_at_once(call.image_bytes()) : g.batch,
                blocks = call.query_blocks(g.heads);
  for (int64_t first = 0; first < g.batch; first += at_once) {
    const int64_t images = std::min(at_once, g.batch - first);
    call.values.load(first, images, call.workers);
    Claims items(images * blocks, call.workers);
    on_workers(call.workers, [&](int64_t) {
      const AttendWorker<T> worker(call, out);
      items.work([&](int64_t i) {
        worker.run(call.block(first + i / blocks, i % blocks, g.heads, 0, g.heads));
      });
    });
  }
}

}  // namespace dcnbuild::cpu
