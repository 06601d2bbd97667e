// The backward pass. It works on each tile some taps at a time. A GEMM gives the columns'
// gradients. From them and the sampled pixels, one loop computes the gradients of input, offset and
// mask, and the columns. From the columns, a GEMM gives the gradient of the weight.
#pragma once

#include "deform_conv2d/cpu/matrix_unit.h"
#include "deform_conv2d/cpu/tap_gradients.h"
#include "deform_conv2d/operands.h"

namespace dcnbuild::cpu {

/// Bytes of images and of their gradients that are copied at once; at least one image.
constexpr int64_t kBackwardImageBytes = 32 << 20;

/// The data that all threads read in a backward pass.
template <typename Unit>
struct BackwardCall {
  using Sum = typename Unit::Sum;
  using Pixel = typename Unit::Pixel;
  const Geometry& g;
  const Unit& unit;
  Strided<Pixel> grad_output, input;
  Strided<Sum> offset, mask, grad_input, grad_offset, grad_mask;
  bool input_in_place, grad_in_place;
  bool through_columns;  // whether a gradient other than the weight's is requested
  Tiling tiling;
  Buffer<Pixel> weight;

  /// The largest number of positions of a tile, as rows of a product.
  int64_t rows() const { return round_up(tiling.largest(), unit.row_step()); }
};

/// Works on one slice of one image at a time, and owns the memory for it.
template <typename Unit>
class SliceWorker {
 public:
  using Sum = typename Unit::Sum;
  using Pixel = typename Unit::Pixel;
  /// `grad_weight`, or null, is as `Unit::weight_sums` says.
  SliceWorker(const BackwardCall<Unit>& call, const Slice& slice, Sum* grad_weight)
      : call_(call),
        slice_(slice),
        grad_weight_(grad_weight),
        taps_(call.g, call.offset, call.mask, slice.first_group, slice.groups,
              call.tiling.largest()),
        tap_stride_(slice.channels() - width() + round_up(width(), call.unit.lanes())),
        taps_at_once_(taps_at_once<Sum>(call.g, call.tiling.largest(), tap_stride_)),
        columns_(call.rows() * column_row(), Sum(0)),
        products_(call.unit, call.g, slice_, call.tiling.largest(), column_row()),
        zeros_(slice.channels(), Pixel(0)),
        sink_(slice.channels(), Sum(0)),
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
      std::fill_n(grad_image_.data(), pixels() * slice_.channels(), Sum(0));
      return;
    }
    for (int64_t i = 0; i < pixels(); ++i)
      std::fill_n(own(call_.grad_input) + i * call_.grad_input.w, slice_.channels(), Sum(0));
  }

  /// Writes this slice's part of the gradients of a tile's offsets and masks to `gradients`
  /// [block][tap][run]; adds up the gradients of image and weight in this worker.
  void run(const Tile& tile, TapGradients<Sum>* gradients) {
    const Geometry& g = call_.g;
    const Taps<Sum> taps = taps_.load(n_, tile);
    const SliceColumns<Sum> columns{columns_.data(), column_row(), tap_stride_};
    products_.load(call_.grad_output, n_, tile);
    for (int64_t tap = 0; tap < g.taps(); tap += taps_at_once_) {
      const SliceTaps at{tile.positions(), tap, std::min(tap + taps_at_once_, g.taps())};
      if (call_.through_columns) products_.column_gradients(at, call_.weight.data(), columns);
      call_.unit.differentiate({samples(at, taps), gradients, grad_image()}, call_.through_columns);
      if (grad_weight_) products_.add_weight_gradient(at, columns, grad_weight_);
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
  int64_t width() const { return SliceGroups(call_.g, slice_).width; }

  /// The slice's first channel of the image, in a tensor that the kernels use in place.
  template <typename T>
  T* own(const Strided<T>& tensor) const {
    return reinterpret_cast<T*>(tensor.at(n_, slice_.begin, 0, 0));
  }

  Pixels<const Pixel> image() const {
    if (call_.input_in_place) return {own(call_.input), call_.input.w, 0, zeros_.data()};
    return {image_.data(), 0, pixels(), zeros_.data()};
  }

  Pixels<Sum> grad_image() const {
    if (!call_.grad_input) return {};
    if (call_.grad_in_place) return {own(call_.grad_input), call_.grad_input.w, 0, sink_.data()};
    return {grad_image_.data(), 0, pixels(), sink_.data()};
  }

  Samples<Sum, Pixel> samples(const SliceTaps& at, const Taps<Sum>& taps) const {
    return {at.positions, at.first_tap,       at.last_tap,
            taps,         slice_.runs.data(), static_cast<int64_t>(slice_.runs.size()),
            image(),      columns_.data(),    column_row(),
            tap_stride_};
  }

  const BackwardCall<Unit>& call_;
  const Slice slice_;
  Sum* const grad_weight_;
  TileTaps<Sum> taps_;
  int64_t tap_stride_, taps_at_once_;
  Buffer<Sum> columns_;
  typename Unit::Products products_;
  Buffer<Pixel> zeros_;  // stands for every pixel outside
  Buffer<Sum> sink_;     // takes the gradients outside the image
  Buffer<Pixel> image_;
  Buffer<Sum> grad_image_;
  int64_t n_ = 0;
};

/// grad_weight = the sum of `parts` sums, each [group][tap] of `of`.
template <typename T>
void store_weight_gradient(const Geometry& g, const Strided<T>& out, T* sums, int64_t parts,
                           const WeightSums& of, int64_t workers) {
  const int64_t channels = g.channels_per_group(), outs = g.out_channels_per_group(),
                taps = g.taps(), size = g.groups * taps * of.size;
  for (int64_t part = 1; part < parts; ++part)
    for (int64_t i = 0; i < size; ++i) sums[i] += sums[part * size + i];
  // Copies have one side whose elements are neighbours, else they go one by one.
  const bool by_tap = taps == 1 || out.w != 1 || (g.kernel_h > 1 && out.h != g.kernel_w);
  const bool by_out = of.channel == 1;
  const int64_t copies = by_tap ? taps : by_out ? outs : channels;
  on_workers(workers, [&](int64_t worker) {
    for (int64_t at = worker; at < g.groups * copies; at += workers) {
      const int64_t group = at / copies, i = at % copies, n = group * outs;
      const T* from = sums + group * taps * of.size;
      if (by_tap)
        out.store(channels, outs, from + i * of.size, of.channel, of.out,
                  out.at(n, 0, i / g.kernel_w, i % g.kernel_w), out.c, out.n);
      else if (by_out)
        out.store(channels, taps, from + i * of.out, of.channel, of.size, out.at(n + i, 0, 0, 0),
                  out.c, 1);
      else
        out.store(outs, taps, from + i * of.channel, of.out, of.size, out.at(n, i, 0, 0), out.n, 1);
    }
  });
}

template <typename Unit>
void backward(const Unit& unit, const Geometry& g, const Operands& t, const Tensor& grad_output,
              Gradients& grads) {
  using Sum = typename Unit::Sum;
  using Pixel = typename Unit::Pixel;
  const int64_t threads = worker_count(g);
  const BackwardCall<Unit> call{g,
                                unit,
                                unit.pixels(grad_output),
                                unit.pixels(t.input),
                                Strided<Sum>(t.offset),
                                Strided<Sum>(t.mask),
                                Strided<Sum>(grads.input),
                                Strided<Sum>(grads.offset),
                                Strided<Sum>(grads.mask),
                                is_pixel_major(t.input, unit.dtype()),
                                grads.input && is_pixel_major(*grads.input, dtype_of<Sum>),
                                grads.input || grads.offset || grads.mask,
                                Tiling(g, tile_positions<Sum>(g, g.channels)),
                                unit.pack_transposed(g, t.weight, threads)};

  const int64_t image_bytes =
      g.channels * g.height * g.width *
      static_cast<int64_t>((call.input_in_place ? 0 : sizeof(Pixel)) +
                           (grads.input && !call.grad_in_place ? sizeof(Sum) : 0));
  const int64_t at_once = std::clamp<int64_t>(
      kBackwardImageBytes / std::max<int64_t>(1, image_bytes), 1, std::min(g.batch, threads));
  const WeightSums weight_sums = unit.weight_sums(g);
  const int64_t weight_size = g.groups * g.taps() * weight_sums.size;
  const Buffer<Sum> grad_weight(grads.weight ? at_once * weight_size : 0, Sum(0));

  for (int64_t first = 0; first < g.batch; first += at_once) {
    const int64_t images = std::min(at_once, g.batch - first);
    const std::vector<Slice> slices = make_slices(g, threads / images, slice_unit(g, unit.lanes()));
    const int64_t parts = static_cast<int64_t>(slices.size());
    std::vector<std::unique_ptr<SliceWorker<Unit>>> workers(images * parts);
    TapGradientSums<Sum> sums(g, slices, call.tiling, images, call.through_columns);
    for (int64_t chunk = 0; chunk < call.tiling.count(); chunk += sums.tiles_at_once()) {
      const int64_t last = std::min(chunk + sums.tiles_at_once(), call.tiling.count());
      on_workers(images * parts, [&](int64_t i) {
        const int64_t image = i / parts, part = i % parts;
        if (chunk == 0) {
          workers[i] = std::make_unique<SliceWorker<Unit>>(
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
      if (parts == 1 || !call.through_columns) continue;
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
    store_weight_gradient(g, Strided<Sum>(*grads.weight), grad_weight.data(), at_once, weight_sums,
                          threads);
}

}  // namespace dcnbuild::cpu
