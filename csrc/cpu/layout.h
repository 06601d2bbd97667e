// Copies between strided tensors and the dense buffers that the CPU kernels work on. No torch
// header.
#pragma once

#include <algorithm>
#include <cstdint>

namespace dcnbuild::cpu {

/// out[i * out_i + j * out_j] = in[i * in_i + j * in_j], in blocks that keep both sides in cache.
template <typename From, typename To>
void copy_matrix(int64_t rows, int64_t columns, const From* in, int64_t in_i, int64_t in_j, To* out,
                 int64_t out_i, int64_t out_j) {
  constexpr int64_t block = 32;
  for (int64_t i0 = 0; i0 < rows; i0 += block)
    for (int64_t j0 = 0; j0 < columns; j0 += block)
      for (int64_t i = i0; i < std::min(rows, i0 + block); ++i)
        for (int64_t j = j0; j < std::min(columns, j0 + block); ++j)
          out[i * out_i + j * out_j] = static_cast<To>(in[i * in_i + j * in_j]);
}

/// Splits positions [begin, begin + count) of a map `width` wide where its rows end, and calls
/// body(index of the piece's first position within the range, length, row, column) for each piece.
template <typename F>
void for_rows(int64_t begin, int64_t count, int64_t width, const F& body) {
  for (int64_t i = 0; i < count;) {
    const int64_t row = (begin + i) / width, column = (begin + i) % width;
    const int64_t length = std::min(count - i, width - column);
    body(i, length, row, column);
    i += length;
  }
}

}  // namespace dcnbuild::cpu
