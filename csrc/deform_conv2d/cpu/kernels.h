// The arguments of deform_conv2d's inner kernels on the CPU. Plain data, so that every instruction
// set can include it. No torch header.
#pragma once

#include <cstdint>

#include "common/cpu/block.h"
#include "common/sampling.h"

namespace dcnbuild::cpu {

/// The offsets and masks of a tile, and the places of its taps before the offsets are added.
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
  int64_t column;  // where its first channel stands among a position's columns of a tap
};

/// An image with its channels innermost, or its gradient.
template <typename T>
struct Pixels {
  T* first;
  int64_t step;  // from one pixel to the next
  /// If not 0, runs of channels lie one after the other, each dense with this number of pixels, and
  /// `step` is not used.
  int64_t run_pixels;
  T* outside;  // the pixel that replaces every pixel outside
};

/// Parts of tensors that a tile reads or writes after its samples: `planes` planes of `rows` rows,
/// of each of which a tile has at most a cache line or so.
struct Ahead {
  const char* first = nullptr;
  int64_t planes = 0, rows = 0, plane_bytes = 0, row_bytes = 0;
};

/// Taps [first_tap, last_tap) of a tile, the image they sample, and the tile's columns,
/// [position][tap - first_tap][channel]. Pixels and columns may be the bits of a half type.
template <typename T, typename Pixel = T, typename Column = T>
struct Samples {
  int64_t positions, first_tap, last_tap;
  Taps<T> taps;
  const Run* runs;
  int64_t run_count;
  Pixels<const Pixel> image;  // zeros outside
  Column* columns;
  int64_t column_row, column_tap;  // from one position, and from one tap, to the next
  Ahead ahead[3] = {};             // what the kernel prefetches while it samples
};

/// The backward pass over the same: reads the columns' gradients, and overwrites them with the
/// columns.
template <typename T, typename Pixel = T>
struct Differentiate {
  Samples<T, Pixel> samples;
  TapGradients<T>* gradients;  // [position / kBlock][tap][run]
  Pixels<T> grad_image;        // `outside` is never read; `first` is null if it is not requested
};

}  // namespace dcnbuild::cpu
