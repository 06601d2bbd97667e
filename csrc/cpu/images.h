// Images with their channels innermost, as the kernels take them.
#pragma once

#include "strided.h"

namespace dcnbuild::cpu {

/// Whether the kernels can work in a tensor's own memory: its dtype is the one computed in, the
/// channels of a pixel lie side by side and all pixels at one distance.
template <typename T>
bool is_pixel_major(const Tensor& t) {
  return t.scalar_type() == dtype_of<T> && (t.size(1) == 1 || t.stride(1) == 1) &&
         (t.size(2) == 1 || t.stride(2) == t.size(3) * t.stride(3));
}

/// Channels [begin, begin + count) of rows [first, last) of image n, to dense pixels of `count`.
template <typename T>
void load_rows(const Geometry& g, const Strided<T>& from, int64_t n, int64_t first, int64_t last,
               int64_t begin, int64_t count, T* image) {
  for (int64_t y = first; y < last; ++y)
    from.load(g.width, count, from.at(n, begin, y, 0), from.w, from.c, image + y * g.width * count,
              count, 1);
}

/// And back.
template <typename T>
void store_rows(const Geometry& g, const Strided<T>& to, int64_t n, int64_t first, int64_t last,
                int64_t begin, int64_t count, const T* image) {
  for (int64_t y = first; y < last; ++y)
    to.store(g.width, count, image + y * g.width * count, count, 1, to.at(n, begin, y, 0), to.w,
             to.c);
}

}  // namespace dcnbuild::cpu
