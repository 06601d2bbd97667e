// Images with their channels innermost, as the kernels need them.
#pragma once

#include <vector>

#include "common/cpu/strided.h"
#include "deform_conv2d/geometry.h"

namespace dcnbuild::cpu {

/// Whether the kernels can use a tensor in place: it has the dtype that they compute in, the
/// channels of a pixel lie side by side, and all pixels are equally far apart.
inline bool is_pixel_major(const Tensor& t, ScalarType dtype) {
  return t.scalar_type() == dtype && (t.size(1) == 1 || t.stride(1) == 1) &&
         (t.size(2) == 1 || t.stride(2) == t.size(3) * t.stride(3));
}

/// Copies row y of image n to a copy of the image, or back. The copy has the runs of channels one
/// after the other, each with its channels innermost, so that the pixels that a tile samples of a
/// run lie close together. Channels count from `begin`.
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
