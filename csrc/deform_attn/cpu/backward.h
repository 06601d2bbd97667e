// The backward pass. It sums the value's gradient by heads or by pixels. The same sweep over the
// points writes the gradients of locations and weights; where threads share a head's channels, a
// second sweep does, whose blocks of queries any thread takes.
#pragma once

#include "deform_attn/cpu/backward_by_head.h"
#include "deform_attn/cpu/backward_by_pixel.h"

namespace dcnbuild::cpu {

/// Sweeps over the points of some images: their gradients, and the lists of `sums` if any.
template <typename T>
void sweep_points(const BackwardCall<T>& call, int64_t first, int64_t images,
                  const CornerSums<T>* sums) {
  const AttnCall<T>& forward = call.forward;
  const AttnGeometry& g = forward.g;
  const int64_t blocks = forward.query_blocks(g.heads);
  Claims items(images * blocks, forward.workers);
  on_workers(forward.workers, [&](int64_t) {
    AttendBackwardWorker<T> worker(call, g.heads);
    items.work([&](int64_t i) {
      const QueryBlock block = forward.block(first + i / blocks, i % blocks, g.heads, 0, g.heads);
      const HeadSlice all{block.n, 0, g.heads, 0, g.channels};
      ValueShare<T> share{};
      share.value = forward.values.pixels(block.n, 0, 0), share.channel = forward.values.channel();
      if (sums) sums->share(block, share);
      const Upstream<T> upstream =
          sums ? worker.upstream(block, all, sums->upstream(block)) : worker.upstream(block, all);
      worker.run(block, g.channels, upstream, share, call.grads.points());
    });
  });
}

template <typename T>
void attend_backward(const AttnGeometry& g, const AttnOperands& t, const Tensor& grad_output,
                     const AttnGradients& gradients) {
  AttnCall<T> forward(g, t);
  Strided<T> upstream = by_head<T>(grad_output, g);
  AttnGradientTensors<T> grads = gradient_tensors<T>(g, gradients);
  // Dense channels of bfloat16 are read in pairs: what meets them is in the same order.
  const bool split =
      forward.values.dtype() == ScalarType::BFloat16 && forward.values.channel() == 1;
  if (split)
    upstream.load = kernels<T>().split_bfloat16, grads.value.store = kernels<T>().join_bfloat16;
  const BackwardCall<T> call{forward, upstream, grads, split};
  const bool by_pixel = grads.value && corners_are_few(g);
  if (grads.value && !by_pixel && sum_by_head(call)) return;
  if (!by_pixel && !grads.points()) return;
  const int64_t at_once =
      std::min(forward.values.copied() ? forward.images_at_once(forward.image_bytes()) : g.batch,
               by_pixel ? forward.images_at_once(CornerSums<T>::bytes(g)) : g.batch);
  std::optional<CornerSums<T>> sums;
  if (by_pixel) sums.emplace(call, t.value.scalar_type(), at_once);
  for (int64_t first = 0; first < g.batch; first += at_once) {
    const int64_t images = std::min(at_once, g.batch - first);
    forward.values.load(first, images, forward.workers);
    if (sums) sums->begin(first);
    sweep_points(call, first, images, sums ? &*sums : nullptr);
    if (sums) sum_by_pixel(forward, *sums, first, images);
  }
}

}  // namespace dcnbuild::cpu
