// What goes in and out of deform_attn's inner kernels on the CPU. Plain data, so that every
// instruction set can include it. No torch header.
#pragma once

#include <cstdint>

#include "common/cpu/block.h"
#include "deform_attn/geometry.h"

namespace dcnbuild::cpu {

/// The level of each sample of a query and head, [padded samples]: all that kernels need of them to
/// locate samples in one vector.
template <typename T>
struct SampleLevels {
  int64_t samples, padded;                // padded: a multiple of kBlock
  const int32_t *height, *width, *start;  // start: the level's first pixel
  const T *scale_y, *scale_x;             // pixels for a location of one
};

/// Copies locations and weights of some queries and heads of one image to [query][head][padded
/// samples], converted.
template <typename T>
struct ReadPoints {
  int64_t queries, heads, levels, points, padded;
  PointView<const void> locations, weights;  // of the first query and head
  T *y, *x, *weight;
};

/// An image's pixels for kernels to read, or its gradient to add to.
struct LevelPixels {
  void* first;         // of the first head
  int64_t step, head;  // bytes from one pixel and one head to the next
  const int64_t* row;  // bytes from one row to the next, for each of the padded samples
  void* outside;       // a pixel that stands for all that lie outside
};

/// Some queries and heads of one image, and all channels of a head or a slice of them.
template <typename T>
struct Attend {
  int64_t queries, heads, channels;
  SampleLevels<T> levels;
  const T *y, *x, *weight;     // locations and weights, [query][head][padded samples]
  const T *shift_y, *shift_x;  // pixels, [query]: a sample lies at location * scale + shift
  LevelPixels value;
  int64_t channel;  // elements from one channel of a pixel to the next
  T* output;        // [query][head][channel], or its gradient, which is read
  int64_t output_query, output_head;
};

/// One corner of kBlock samples: the pixel of each, or the number of pixels for one outside, and
/// its weight.
template <typename T>
struct CornerBlock {
  int32_t pixel[kBlock];
  T weight[kBlock];
};

/// The corners of samples: [head][query][kBlock samples][corner].
template <typename T>
struct CornerList {
  CornerBlock<T>* first;
  int64_t head, query;  // blocks from one to the next
};

/// The backward pass over the same.
template <typename T>
struct AttendBackward {
  Attend<T> forward;
  LevelPixels grad_value;  // of T, channels side by side; `first` is null if it is not wanted
  CornerList<T> corners;   // written instead of it; null if it is not wanted
  /// [query][head][sample][x, y] and [query][head][sample]; null if they are not wanted.
  T *grad_locations, *grad_weights;
  int64_t query;  // samples from one query to the next
};

/// Sums the value's gradient of pixels [first, first + pixels) from the corners that lie on them.
template <typename T>
struct SumCorners {
  int64_t first, pixels, heads, channels;
  const CornerBlock<T>* corners;  // of the first head
  int64_t corners_query;          // corners, not blocks; at least two
  const int32_t* order;           // the numbers of a head's corners, ordered by their pixels
  const int32_t* starts;          // where the first pixel's start in `order`, the next one's, ...
  int64_t corners_head, order_head, starts_head;  // from one head to the next
  const T* upstream;                              // the output's gradient, channels side by side
  int64_t upstream_query, upstream_head;
  bool split;  // upstream's channels are in the order of `split_bfloat16`
  void* sums;  // [pixel][head][channel], in the dtype of the gradient
};

}  // namespace dcnbuild::cpu
