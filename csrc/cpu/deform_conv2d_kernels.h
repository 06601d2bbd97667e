// The CPU kernels of deform_conv2d on raw pointers: one tile of output positions at a time, vector
// lanes over channels. No torch header.
//
// A tile's columns are [group][position][tap][channel of the group]: for each group a row-major
// matrix that one GEMM takes.
#pragma once

#include <algorithm>

#include "../deform_conv2d.h"
#include "../sampling.h"

namespace dcnbuild::cpu {

/// One image, channels innermost: pixel (y, x) starts at data + y * row + x * pixel. `zeros` is one
/// pixel of zeros, read in place of whatever lies outside.
template <typename T>
struct Image {
  const T* data;
  int64_t row, pixel;
  const T* zeros;
};

/// A sample and its modulation (1 without a mask).
template <typename acc_t>
struct Tap {
  Sample<acc_t> sample;
  acc_t mask;
};

/// Taps of positions [begin, begin + count) of image n, as [position][tap][offset group].
template <typename offset_t, typename acc_t>
void locate_taps(const Geometry& g, const View4<const offset_t>& offset,
                 const View4<const offset_t>& mask, int64_t n, int64_t begin, int64_t count,
                 Tap<acc_t>* taps) {
  const int64_t kernel = g.taps();
  for (int64_t i = 0; i < count; ++i) {
    const int64_t oy = (begin + i) / g.out_width, ox = (begin + i) % g.out_width;
    const offset_t* o = offset.data + n * offset.n + oy * offset.h + ox * offset.w;
    const offset_t* m = mask.data ? mask.data + n * mask.n + oy * mask.h + ox * mask.w : nullptr;
    for (int64_t k = 0; k < kernel; ++k) {
      const acc_t y = acc_t(tap_origin(oy, g.stride_h, g.padding_h, k / g.kernel_w, g.dilation_h));
      const acc_t x = acc_t(tap_origin(ox, g.stride_w, g.padding_w, k % g.kernel_w, g.dilation_w));
      for (int64_t group = 0; group < g.offset_groups; ++group) {
        const int64_t channel = group * kernel + k;
        Tap<acc_t>& tap = *taps++;
        tap.sample =
            sample_at(y + static_cast<acc_t>(o[2 * channel * offset.c]),
                      x + static_cast<acc_t>(o[(2 * channel + 1) * offset.c]), g.height, g.width);
        tap.mask = m ? static_cast<acc_t>(m[channel * mask.c]) : acc_t(1);
      }
    }
  }
}

/// Calls body(first channel, channel count, index of that channel in the tile's columns) for each
/// run of channels of one tap that lies in one offset group and in one weight group.
template <typename F>
inline void for_channel_runs(const Geometry& g, int64_t position, int64_t positions, int64_t tap,
                             int64_t offset_group, const F& body) {
  const int64_t per_offset_group = g.channels_per_offset_group(),
                per_group = g.channels_per_group();
  const int64_t end = (offset_group + 1) * per_offset_group;
  for (int64_t channel = offset_group * per_offset_group; channel < end;) {
    const int64_t group = channel / per_group, within = channel % per_group;
    const int64_t count = std::min(end - channel, per_group - within);
    body(channel, count, ((group * positions + position) * g.taps() + tap) * per_group + within);
    channel += count;
  }
}

/// Calls body(position, tap, offset group, Tap) over a tile.
template <typename acc_t, typename F>
inline void for_taps(const Geometry& g, const Tap<acc_t>* taps, int64_t count, const F& body) {
  for (int64_t i = 0; i < count; ++i)
    for (int64_t k = 0; k < g.taps(); ++k)
      for (int64_t group = 0; group < g.offset_groups; ++group) body(i, k, group, *taps++);
}

template <typename T, typename acc_t>
inline const T* corner(const Image<T>& image, const Sample<acc_t>& s, int which) {
  return s.has(which) ? image.data + s.y(which) * image.row + s.x(which) * image.pixel
                      : image.zeros;
}

/// columns = modulated samples of the tile (equation 1 of Zhu et al., Deformable ConvNets v2,
/// before the weights).
template <typename T, typename acc_t>
void gather_columns(const Geometry& g, const Tap<acc_t>* taps, int64_t count, const Image<T>& image,
                    acc_t* columns) {
  for_taps(g, taps, count, [&](int64_t i, int64_t k, int64_t group, const Tap<acc_t>& tap) {
    const Sample<acc_t>& s = tap.sample;
    const T *tl = corner(image, s, 0), *tr = corner(image, s, 1), *bl = corner(image, s, 2),
            *br = corner(image, s, 3);
    const acc_t wtl = s.weight(0) * tap.mask, wtr = s.weight(1) * tap.mask;
    const acc_t wbl = s.weight(2) * tap.mask, wbr = s.weight(3) * tap.mask;
    for_channel_runs(g, i, count, k, group, [&](int64_t channel, int64_t channels, int64_t column) {
      for (int64_t c = 0; c < channels; ++c)
        columns[column + c] =
            wtl * static_cast<acc_t>(tl[channel + c]) + wtr * static_cast<acc_t>(tr[channel + c]) +
            wbl * static_cast<acc_t>(bl[channel + c]) + wbr * static_cast<acc_t>(br[channel + c]);
    });
  });
}

/// The dot product of a run of column gradients with one corner's pixel, added to a sum.
template <typename T, typename acc_t>
inline acc_t dot(const acc_t* __restrict a, const T* __restrict b, int64_t count, acc_t sum) {
  // Eight partial sums, in an order that does not depend on the compiler, are what lets this be
  // vectorised.
  constexpr int lanes = 8;
  acc_t partial[lanes] = {};
  int64_t c = 0;
  for (; c + lanes <= count; c += lanes)
    for (int lane = 0; lane < lanes; ++lane)
      partial[lane] += a[c + lane] * static_cast<acc_t>(b[c + lane]);
  for (; c < count; ++c) partial[0] += a[c] * static_cast<acc_t>(b[c]);
  for (int lane = 0; lane < lanes; ++lane) sum += partial[lane];
  return sum;
}

/// Gradients of offset and mask for a tile, from the gradient of its columns. Either destination
/// may have no data.
template <typename T, typename offset_t, typename acc_t>
void tap_gradients(const Geometry& g, const Tap<acc_t>* taps, int64_t n, int64_t begin,
                   int64_t count, const Image<T>& image, const acc_t* grad_columns,
                   const View4<offset_t>& grad_offset, const View4<offset_t>& grad_mask) {
  for_taps(g, taps, count, [&](int64_t i, int64_t k, int64_t group, const Tap<acc_t>& tap) {
    const Sample<acc_t>& s = tap.sample;
    acc_t sums[4] = {};
    for_channel_runs(g, i, count, k, group, [&](int64_t channel, int64_t channels, int64_t column) {
      for (int which = 0; which < 4; ++which)
        sums[which] =
            dot(grad_columns + column, corner(image, s, which) + channel, channels, sums[which]);
    });
    const int64_t oy = (begin + i) / g.out_width, ox = (begin + i) % g.out_width,
                  channel = group * g.taps() + k;
    if (grad_offset.data) {
      offset_t* out =
          grad_offset.data + n * grad_offset.n + oy * grad_offset.h + ox * grad_offset.w;
      out[2 * channel * grad_offset.c] =
          static_cast<offset_t>(tap.mask * value_dy(s, sums[0], sums[1], sums[2], sums[3]));
      out[(2 * channel + 1) * grad_offset.c] =
          static_cast<offset_t>(tap.mask * value_dx(s, sums[0], sums[1], sums[2], sums[3]));
    }
    if (grad_mask.data)
      grad_mask
          .data[n * grad_mask.n + channel * grad_mask.c + oy * grad_mask.h + ox * grad_mask.w] =
          static_cast<offset_t>(value(s, sums[0], sums[1], sums[2], sums[3]));
  });
}

/// Adds a tile's column gradients to the rows of an image gradient, [height][width][channel], that
/// one of several workers owns: row % workers == worker. Every worker walks all taps in order, so
/// that the sums need no locks and come out the same whatever the number of workers. Rows are dealt
/// out one by one because a tile touches only a few neighbouring ones.
template <typename acc_t>
void scatter_columns(const Geometry& g, const Tap<acc_t>* taps, int64_t count,
                     const acc_t* grad_columns, int64_t worker, int64_t workers,
                     acc_t* grad_image) {
  for_taps(g, taps, count, [&](int64_t i, int64_t k, int64_t group, const Tap<acc_t>& tap) {
    const Sample<acc_t>& s = tap.sample;
    for (int which = 0; which < 4; ++which) {
      if (!s.has(which) || s.y(which) % workers != worker) continue;
      const acc_t weight = s.weight(which) * tap.mask;
      acc_t* pixel = grad_image + (s.y(which) * g.width + s.x(which)) * g.channels;
      for_channel_runs(g, i, count, k, group,
                       [&](int64_t channel, int64_t channels, int64_t column) {
                         for (int64_t c = 0; c < channels; ++c)
                           pixel[channel + c] += weight * grad_columns[column + c];
                       });
    }
  });
}

}  // namespace dcnbuild::cpu
