// The inner kernels of deform_conv2d on the CPU: what goes in and out of each, and the table that
// holds one instruction set's versions. Plain data and no templates of functions, so that every
// instruction set can include it. No torch header.
#pragma once

#include <cstdint>

#include "../sampling.h"

namespace dcnbuild::cpu {

/// Output positions that are located together, one vector lane each.
constexpr int kBlock = 8;

/// Gradients of a tap's offset (y, x) and mask.
template <typename T>
struct TapGradients {
  T y[kBlock], x[kBlock], mask[kBlock];
};

/// The offsets and masks of a tile, and where its taps are before the offsets.
template <typename T>
struct Taps {
  int64_t taps;
  const T* offsets;          // [offset group][tap][y, x][padded position]
  const T* masks;            // [offset group][tap][padded position]
  int64_t padded_positions;  // a multiple of kBlock
  /// The coordinates of tap (0, 0) of each position, and the distance of each tap from it.
  const int32_t *row, *column, *tap_row, *tap_column;
  int64_t height, width;  // of the image
};

/// A run of channels that share an offset group.
struct Run {
  int64_t offset_group, begin, count;
};

/// An image with its channels innermost, or its gradient.
template <typename T>
struct Pixels {
  T* first;
  int64_t step;  // from one pixel to the next
  /// If not 0, runs of channels lie one after the other, each dense and of so many pixels, and
  /// `step` is not used.
  int64_t run_pixels;
  T* outside;  // a pixel that stands for all that lie outside
};

/// Taps [first_tap, last_tap) of a tile, the image they sample, and the tile's columns,
/// [position][tap - first_tap][channel].
template <typename T>
struct Samples {
  int64_t positions, first_tap, last_tap;
  Taps<T> taps;
  const Run* runs;
  int64_t run_count;
  Pixels<const T> image;  // zeros outside
  T* columns;
  int64_t column_row, column_tap;  // from one position and one tap to the next
};

/// The backward pass over the same: reads the columns' gradients and leaves the columns themselves
/// in their place.
template <typename T>
struct Differentiate {
  Samples<T> samples;
  TapGradients<T>* gradients;  // [position / kBlock][tap][run]
  Pixels<T> grad_image;  // what goes outside is never read; `first` is null if nothing is wanted
};

/// C = A B, or C += A B, for B and C in panels of one vector's lanes:
/// C[i][panel][lane] = sum over o < outer, k < inner of A[i][o][k] * B[panel][o][k][lane].
template <typename T>
struct Product {
  int64_t rows, panels, outer, inner;
  const T* a;
  int64_t a_row, a_outer, a_inner;
  const T* b;
  int64_t b_panel, b_outer, b_inner;
  T* c;
  int64_t c_row;  // panels of C lie side by side
  bool accumulate;
};

/// out[i * out_i + j * out_j] = in[i * in_i + j * in_j], converted.
using Copy = void (*)(int64_t rows, int64_t columns, const void* in, int64_t in_i, int64_t in_j,
                      void* out, int64_t out_i, int64_t out_j);

/// One instruction set's kernels for float or double.
template <typename T>
struct Kernels {
  int64_t lanes;
  void (*gather)(const Samples<T>&);
  void (*differentiate)(const Differentiate<T>&);
  void (*multiply)(const Product<T>&);
  Copy copy;                      // T to T
  Copy from_half, from_bfloat16;  // to T; null for double
  Copy to_half, to_bfloat16;      // from T; null for double
};

/// Everything one instruction set has.
struct KernelTable {
  const char* name;
  Kernels<float> float_kernels;
  Kernels<double> double_kernels;
};

/// The tables that were compiled in. A table may be called only where `selected_table` would take
/// it.
extern const KernelTable generic_table;
#if defined(__x86_64__)
extern const KernelTable avx2_table, avx512_table;
#endif

/// The best table that this CPU runs, or the one that DCNBUILD_CPU_ISA names (generic, avx2,
/// avx512). Throws std::runtime_error if that is unknown or cannot run here.
const KernelTable& selected_table();

}  // namespace dcnbuild::cpu
