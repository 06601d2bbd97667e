// Images with their channels innermost, as the kernels take them.
#pragma once

#include <vector>

#include "common/cpu/strided.h"
#include "deform_conv2d/geometry.h"

namespace dcnbuild::cpu {

/// Whether the kernels can work in a tensor's own memory: its dtype is the one computed in, the
/// channels of a pixel lie side by side and all pixels at one distance.
template <typename T>
bool is_pixel_major(const Tensor& t) {
  return t.scalar_type() == dtype_of<T> && (t.size(1) == 1 || t.stride(1) == 1) &&
         (t.size(2) == 1 || t.stride(2) == t.size(3) * t.stride(3));
}

/// Row y of image n to a copy of the image, and back: runs of channels one after the other, each
/// with its channels innermost, so that what a tile samples of a run lies close together. Channels
/// count from `begin`.
template <typename T>
void load_row(const Geometry& g, const Strided<T>& from, int64_t n, int64_t y, int64_t begin,
              const std::vector<Run>& runs, T* image) {
  for (const Run& run : runs)
    from.load(g.width, run.count, from.at(n, begin + run.begin, y, 0), from.w, from.c,
              image + g.width * (run.begin * g.height + y * run.count), run.count, 1);
}

template <typename T>
void store_row(const Geometry& g, const Strided<T>& to, int64_t n, int64_t y, int64_t begin,
               const std::vector<Run>& runs, const T* image) {
  for (const Run& run : runs)
    to.store(g.width, run.count, image + g.width * (run.begin * g.height + y * run.count),
             run.count, 1, to.at(n, begin + run.begin, y, 0), to.w, to.c);
}

}  // namespace dcnbuild::cpu
