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

/// The corners of samples: the pixel of each, or the number of pixels for one outside, and its
/// weight: [head][query][kBlock samples][corner][sample].
template <typename T>
struct CornerList {
  int32_t* pixel;
  T* weight;
  int64_t head, query;  // from one to the next
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

/// A corner of a sample, in the list of its pixel.
template <typename T>
struct Touch {
  T weight;
  int32_t query;
};

/// Sums the value's gradient of some pixels, each from the list of its corners.
template <typename T>
struct SumCorners {
  int64_t pixels, heads, channels;
  const Touch<T>* touches;  // of the first head
  const int32_t* starts;    // where the first pixel's list starts; its end is the next one's start
  int64_t touches_head, starts_head;  // from one head to the next
  const T* upstream;                  // the output's gradient, channels side by side
  int64_t upstream_query, upstream_head;
  T* sums;  // [pixel][head][channel]
};

}  // namespace dcnbuild::cpu
