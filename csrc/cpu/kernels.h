// The inner kernels of deform_conv2d on the CPU: what goes in and out of each, and the table that
// holds one instruction set's versions. Plain data and no templates of functions, so that every
// instruction set can include it. No torch header.
#pragma once

#include <cstdint>

namespace dcnbuild::cpu {

/// Output positions that are located together, one vector lane each.
constexpr int kBlock = 8;

/// One tap of one offset group for kBlock positions: where its four neighbours lie (row * width +
/// column of the image, -1 outside; top left, top right, bottom left, bottom right) and their
/// bilinear weights times the mask.
template <typename T>
struct TapBlock {
  int32_t pixel[4][kBlock];
  T weight[4][kBlock];
};

/// The distances from the top left neighbour and the mask, which only gradients need.
template <typename T>
struct TapFractions {
  T ly[kBlock], lx[kBlock], mask[kBlock];
};

/// Gradients of a tap's offset (y, x) and mask.
template <typename T>
struct TapGradients {
  T y[kBlock], x[kBlock], mask[kBlock];
};

/// Locates the taps of a tile. Results are [position / kBlock][tap][offset group].
template <typename T>
struct Locate {
  int64_t positions, taps, offset_groups;
  /// [tap][offset group][y offset, x offset, mask][padded positions]; without a mask, the planes of
  /// ones are there too.
  const T* offsets;
  int64_t padded_positions;  // a multiple of kBlock
  /// The coordinates of tap (0, 0) of each position, and the distance of each tap from it.
  const T *row, *column, *tap_row, *tap_column;
  int64_t height, width;
  TapBlock<T>* blocks;
  TapFractions<T>* fractions;  // or null
};

/// A run of channels that share an offset group.
struct Run {
  int64_t offset_group, begin, count;
};

/// Taps [first_tap, last_tap) of a tile, an image with its channels innermost, and the tile's
/// columns, [position][tap - first_tap][channel].
template <typename T>
struct Samples {
  int64_t positions, taps, offset_groups, first_tap, last_tap;
  const TapBlock<T>* blocks;
  const Run* runs;
  int64_t run_count;
  const T* image;
  int64_t pixel;   // from one pixel to the next
  const T* zeros;  // a pixel of zeros, read in place of all that lies outside
  T* columns;
  int64_t column_row, column_tap;  // from one position and one tap to the next
};

/// The backward pass over the same: reads the columns' gradients and leaves the columns themselves
/// in their place.
template <typename T>
struct Differentiate {
  Samples<T> samples;
  const TapFractions<T>* fractions;
  TapGradients<T>* gradients;  // [position / kBlock][tap][run]
  /// The image's gradient, laid out with pixels of `grad_pixel`; or null.
  T* grad_image;
  int64_t grad_pixel;
  T* sink;  // a pixel that takes whatever would go outside
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
  void (*locate)(const Locate<T>&);
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
