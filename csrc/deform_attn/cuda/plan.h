// How much of a call is worked on at once: plain functions of the shapes, without CUDA or torch.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/cuda/blocks.h"
#include "deform_attn/geometry.h"

namespace dcnbuild::cuda {

/// How a batch is cut up: passes of whole images, and on the deterministic route chunks of
/// `samples` of a pass.
struct AttnPlan {
  int64_t images, samples;
};

/// What the kernels count of one image: its groups of lanes, which are most where every lane has a
/// single channel.
inline int64_t groups_of_image(const AttnGeometry& g) {
  return g.queries * g.heads * ceil_div(g.channels, 32);
}

/// Whether the kernels' 32-bit counts hold this call. What they leave out takes tensors of tens of
/// gigabytes in one image.
inline bool fits_kernels(const AttnGeometry& g) {
  return groups_of_image(g) < kCountLimit && g.pixels * g.heads < kCountLimit;
}

/// The plan whose buffers take at most 3 * bytes: what the deterministic route sorts 1, and float32
/// sums of a half value's gradient 2. One sample and one image are the least, whatever they take.
inline AttnPlan plan_attn(const AttnGeometry& g, int64_t element_size, int64_t acc_size,
                          int64_t bytes) {
  const int64_t pixels = std::max<int64_t>(g.pixels * g.heads, 1);
  int64_t images =
      std::min(kCountLimit / std::max<int64_t>(groups_of_image(g), 1), kCountLimit / pixels);
  if (element_size != acc_size)
    images = std::min(images, 2 * bytes / (pixels * g.channels * acc_size));
  const int64_t samples =
      std::min(bytes / (4 * sorted_entry_bytes(g.channels, acc_size)), kCountLimit / 4);
  return {std::clamp<int64_t>(images, 1, std::max<int64_t>(g.batch, 1)),
          std::max<int64_t>(samples, 1)};
}

}  // namespace dcnbuild::cuda
