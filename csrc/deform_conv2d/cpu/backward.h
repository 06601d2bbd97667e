// The backward pass. It works on each tile some taps at a time. A GEMM gives the columns'
// gradients. From them and the sampled pixels, one loop computes the gradients of input, offset and
// mask, and the columns. From the columns, a GEMM gives the gradient of the weight.
#pragma once

#include "deform_conv2d/cpu/images.h"
#include "deform_conv2d/cpu/slices.h"
#include "deform_conv2d/cpu/tap_gradients.h"
#include "deform_conv2d/cpu/tiles.h"
#include "deform_conv2d/cpu/weights.h"
#include "deform_conv2d/operands.h"

namespace dcnbuild::cpu {

/// Bytes of images and of their gradients that are copied at once; at least one image.
constexpr int64_t kBackwardImageBytes = 32 << 20;

/// The data that all threads read in a backward pass.
template <typename T>
struct BackwardCall {
  const Geometry& g;
  Strided<T> grad_output, input, offset, mask, grad_input, grad_offset, grad_mask;
  bool input_in_place, grad_in_place;
  bool through_columns;  // whether a gradient other than the weight's is requested
  Tiling tiling;
  int64_t out_padded;  // out channels of a group, padded to panels
  Buffer<T> weight;

  int64_t out_row() const { return g.groups * out_padded; }
};

/// Works on one slice of one image at a time, and owns the memory for it.
template <typename T>
class SliceWorker {
 public:
  /// `grad_weight`, or null, is [group][tap][channel][padded out channel] over all channels.
  SliceWorker(const BackwardCall<T>& call, const Slice& slice, T* grad_weight)
      : call_(call),
        slice_(slice),
        grad_weight_(grad_weight),
        taps_(call.g, call.offset, call.mask, slice.first_group, slice.groups,
              call.tiling.largest()),
        tap_stride_(slice.channels() - width() + round_up(width(), kernels<T>().lanes)),
        taps_at_once_(taps_at_once<T>(call.g, call.tiling.largest(), tap_stride_)),
        columns_(call.tiling.largest() * column_row()),
        grad_tile_(call.tiling.largest() * call.out_row(), T(0)),
        margin_(2 * slice.channels(), T(0)),
        image_(call.input_in_place ? 0 : pixels() * slice.channels()),
        grad_image_(call.grad_input && !call.grad_in_place ? pixels() * slice.channels() : 0) {}

  const Slice& slice() const { return slice_; }

  /// Begins image n.
  void begin(int64_t n) {
    const Geometry& g = call_.g;
    n_ = n;
    if (!call_.input_in_place)
      for (int64_t y = 0; y < g.height; ++y)
        load_row(g, call_.input, n, y, slice_.begin, slice_.runs, image_.data());
    if (!call_.grad_input) return;
    if (!call_.grad_in_place) {
      std::fill_n(grad_image_.data(), pixels() * slice_.channels(), T(0));
      return;
    }
    for (int64_t i = 0; i < pixels(); ++i)
      std::fill_n(own(call_.grad_input) + i * call_.grad_input.w, slice_.channels(), T(0));
  }

  /// Writes this slice's part of the gradients of a tile's offsets and masks to `gradients`
  /// [block][tap][run]; adds up the gradients of image and weight in this worker.
  void run(const Tile& tile, TapGradients<T>* gradients) {
    const Geometry& g = call_.g;
    const Taps<T> taps = taps_.load(n_, tile);
    load_grad_output(tile);
    for (int64_t tap = 0; tap < g.taps(); tap += taps_at_once_) {
      const int64_t last = std::min(tap + taps_at_once_, g.taps());
      const Samples<T> samples = this->samples(tile, taps, tap, last);
      if (call_.through_columns) {
        column_gradients(tile.positions(), tap, last);
        kernels<T>().differentiate({samples, gradients, grad_image()});
      } else {
        kernels<T>().gather(samples);
      }
      if (grad_weight_) add_weight_gradient(tile.positions(), tap, last);
    }
  }

  /// Writes the image's gradient to its tensor.
  void end() {
    if (call_.grad_input && !call_.grad_in_place)
      for (int64_t y = 0; y < call_.g.height; ++y)
        store_row(call_.g, call_.grad_input, n_, y, slice_.begin, slice_.runs, grad_image_.data());
  }

 private:
  int64_t pixels() const { return call_.g.height * call_.g.width; }
  int64_t column_row() const { return taps_at_once_ * tap_stride_; }
  /// The weight groups of this slice and their channels; a slice may be narrower than its only
  /// group.
  int64_t first_weight_group() const { return slice_.begin / call_.g.channels_per_group(); }
  int64_t width() const { return std::min(slice_.channels(), call_.g.channels_per_group()); }
  int64_t weight_groups() const { return slice_.channels() / width(); }

  /// The slice's first channel of the image, in a tensor that the kernels use in place.
  T* own(const Strided<T>& tensor) const {
    return reinterpret_cast<T*>(tensor.at(n_, slice_.begin, 0, 0));
  }

  Pixels<const T> image() const {
    if (call_.input_in_place) return {own(call_.input), call_.input.w, 0, margin_.data()};
    return {image_.data(), 0, pixels(), margin_.data()};
  }

  Pixels<T> grad_image() const {
    T* sink = margin_.data() + slice_.channels();
    if (!call_.grad_input) return {};
    if (call_.grad_in_place) return {own(call_.grad_input), call_.grad_input.w, 0, sink};
    return {grad_image_.data(), 0, pixels(), sink};
  }

  Samples<T> samples(const Tile& tile, const Taps<T>& taps, int64_t first_tap,
                     int64_t last_tap) const {
    return {tile.positions(),
            first_tap,
            last_tap,
            taps,
            slice_.runs.data(),
            static_cast<int64_t>(slice_.runs.size()),
            image(),
            columns_.data(),
            column_row(),
            tap_stride_};
  }

  /// grad_tile = [position][padded out channel].
  void load_grad_output(const Tile& tile) {
    const int64_t outs = call_.g.out_channels_per_group();
    for (int64_t i = 0; i < weight_groups(); ++i) {
      const int64_t group = first_weight_group() + i;
      load_tile(call_.grad_output, n_, group * outs, outs, tile,
                grad_tile_.data() + group * call_.out_padded, call_.out_row(), 1);
    }
  }

  void column_gradients(int64_t positions, int64_t first_tap, int64_t last_tap) {
    const Geometry& g = call_.g;
    const int64_t lanes = kernels<T>().lanes, outs = g.out_channels_per_group(),
                  group_panels = ceil_div(g.channels_per_group(), lanes),
                  first_panel = slice_.begin % g.channels_per_group() / lanes;
    // A group writes beyond its channels; in this order, the next group overwrites that.
    for (int64_t tap = first_tap; tap < last_tap; ++tap)
      for (int64_t i = 0; i < weight_groups(); ++i) {
        const int64_t group = first_weight_group() + i;
        const int64_t panel = (group * g.taps() + tap) * group_panels + first_panel;
        kernels<T>().multiply({positions, ceil_div(width(), lanes), 1, outs,
                               grad_tile_.data() + group * call_.out_padded, call_.out_row(), 0, 1,
                               call_.weight.data() + panel * outs * lanes, outs * lanes, 0, lanes,
                               columns_.data() + (tap - first_tap) * tap_stride_ + i * width(),
                               column_row(), false});
      }
  }

  void add_weight_gradient(int64_t positions, int64_t first_tap, int64_t last_tap) {
    const Geometry& g = call_.g;
    const int64_t lanes = kernels<T>().lanes;
    for (int64_t tap = first_tap; tap < last_tap; ++tap)
      for (int64_t i = 0; i < weight_groups(); ++i) {
        const int64_t group = first_weight_group() + i;
        const int64_t row = (group * g.taps() + tap) * g.channels_per_group() +
                            slice_.begin % g.channels_per_group();
        kernels<T>().multiply({width(), call_.out_padded / lanes, 1, positions,
                               columns_.data() + (tap - first_tap) * tap_stride_ + i * width(), 1,
                               0, column_row(), grad_tile_.data() + group * call_.out_padded, lanes,
                               0, call_.out_row(), grad_weight_ + row * call_.out_padded,
                               call_.out_padded, true});
      }
  }

  const BackwardCall<T>& call_;
  const Slice slice_;
  T* const grad_weight_;
  TileTaps<T> taps_;
  int64_t tap_stride_, taps_at_once_;
  Buffer<T> columns_, grad_tile_;
  Buffer<T> margin_;  // a pixel of zeros, and one that takes the gradients outside the image
  Buffer<T> image_, grad_image_;
  int64_t n_ = 0;
};

/// grad_weight = the sum of `parts` sums [group][tap][channel][padded out channel].
template <typename T>
void store_weight_gradient(const Geometry& g, const Strided<T>& out, T* sums, int64_t parts,
                           int64_t padded) {
  const int64_t channels = g.channels_per_group(), outs = g.out_channels_per_group(),
                size = g.groups * g.taps() * channels * padded;
  for (int64_t part = 1; part < parts; ++part)
    for (int64_t i = 0; i < size; ++i) sums[i] += sums[part * size + i];
  for (int64_t group = 0; group < g.groups; ++group)
    for (int64_t k = 0; k < g.taps(); ++k, sums += channels * padded)
      out.store(channels, outs, sums, padded, 1,
                out.at(group * outs, 0, k / g.kernel_w, k % g.kernel_w), out.c, out.n);
}

template <typename T>
void backward(const Geometry& g, const Operands& t, const Tensor& grad_output, Gradients& grads) {
  const int64_t threads = worker_count(g), lanes = kernels<T>().lanes;
  const BackwardCall<T> call{g,
                             Strided<T>(grad_output),
                             Strided<T>(t.input),
                             Strided<T>(t.offset),
                             Strided<T>(t.mask),
                             Strided<T>(grads.input),
                             Strided<T>(grads.offset),
                             Strided<T>(grads.mask),
                             is_pixel_major<T>(t.input),
                             grads.input && is_pixel_major<T>(*grads.input),
                             grads.input || grads.offset || grads.mask,
                             Tiling(g, tile_positions<T>(g, g.channels)),
                             round_up(g.out_channels_per_group(), lanes),
                             pack_transposed_weight<T>(g, t.weight, threads)};

  const int64_t copies =
      (call.input_in_place ? 0 : 1) + (grads.input && !call.grad_in_place ? 1 : 0);
  const int64_t image_bytes =
      copies * g.channels * g.height * g.width * static_cast<int64_t>(sizeof(T));
  const int64_t at_once = std::clamp<int64_t>(
      kBackwardImageBytes / std::max<int64_t>(1, image_bytes), 1, std::min(g.batch, threads));
  const int64_t weight_size = g.groups * g.taps() * g.channels_per_group() * call.out_padded;
  const Buffer<T> grad_weight(grads.weight ? at_once * weight_size : 0, T(0));

  for (int64_t first = 0; first < g.batch; first += at_once) {
    const int64_t images = std::min(at_once, g.batch - first);
    const std::vector<Slice> slices = make_slices(g, threads / images, slice_unit(g, lanes));
    const int64_t parts = static_cast<int64_t>(slices.size());
    std::vector<std::unique_ptr<SliceWorker<T>>> workers(images * parts);
    TapGradientSums<T> sums(g, slices, call.tiling, images);
    for (int64_t chunk = 0; chunk < call.tiling.count(); chunk += sums.tiles_at_once()) {
      const int64_t last = std::min(chunk + sums.tiles_at_once(), call.tiling.count());
      on_workers(images * parts, [&](int64_t i) {
        const int64_t image = i / parts, part = i % parts;
        if (chunk == 0) {
          workers[i] = std::make_unique<SliceWorker<T>>(
              call, slices[part],
              grads.weight ? grad_weight.data() + image * weight_size : nullptr);
          workers[i]->begin(first + image);
        }
        for (int64_t tile = chunk; tile < last; ++tile) {
          workers[i]->run(call.tiling[tile], sums.part(image, part, tile - chunk));
          if (parts == 1)
            sums.store(call.grad_offset, call.grad_mask, first + image, image, call.tiling[tile],
                       tile - chunk);
        }
        if (last == call.tiling.count()) workers[i]->end();
      });
      if (parts == 1) continue;
      Claims tiles(images * (last - chunk), threads);
      on_workers(threads, [&](int64_t) {
        tiles.work([&](int64_t i) {
          const int64_t image = i / (last - chunk), tile = i % (last - chunk);
          sums.store(call.grad_offset, call.grad_mask, first + image, image,
                     call.tiling[chunk + tile], tile);
        });
      });
    }
  }
  if (grads.weight)
    store_weight_gradient(g, Strided<T>(*grads.weight), grad_weight.data(), at_once,
                          call.out_padded);
}

}  // namespace dcnbuild::cpu
