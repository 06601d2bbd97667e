// deform_conv2d on the CPU: tiles of positions whose columns stay in cache, a GEMM on each, tiles
// spread over torch's threads. Nothing is allocated that grows with the batch.
#include <type_traits>

#include "../operands.h"
#include "deform_conv2d_kernels.h"
#include "layout.h"

namespace dcnbuild::cpu {
namespace {

/// Bytes of columns that one tile may fill: what a core's L2 holds beside the weights.
constexpr int64_t kTileBytes = 256 << 10;
/// Bytes of column gradients kept between the two phases of the backward pass, and of images
/// brought into channels-last order at once (one image at least).
constexpr int64_t kChunkBytes = 4 << 20;

template <typename T>
using acc_type = std::conditional_t<std::is_same_v<T, double>, double, float>;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Tiles of a range of positions.
struct Tiles {
  int64_t positions, size;
  int64_t count() const { return ceil_div(positions, size); }
  int64_t begin(int64_t tile) const { return tile * size; }
  int64_t length(int64_t tile) const { return std::min(size, positions - tile * size); }
};

template <typename acc_t>
Tiles make_tiles(const Geometry& g) {
  const int64_t fitting =
      kTileBytes / std::max<int64_t>(1, g.column_size() * static_cast<int64_t>(sizeof(acc_t)));
  const int64_t share = ceil_div(g.batch * g.positions(), thread_count());
  return {g.positions(),
          std::max<int64_t>(1, std::min({std::max<int64_t>(fitting, 8), share, g.positions()}))};
}

/// Deals [0, items) out to workers, each of which calls body(worker, workers, begin, end) once. The
/// split depends only on the number of threads, which is what makes per-worker sums repeatable.
template <typename F>
void for_workers(int64_t items, const F& body) {
  const int64_t workers = std::max<int64_t>(1, std::min(items, thread_count()));
  parallel_for(workers, 1, [&](int64_t first, int64_t last) {
    for (int64_t worker = first; worker < last; ++worker)
      body(worker, workers, items * worker / workers, items * (worker + 1) / workers);
  });
}

template <typename U>
Matrix<U> output_block(const Geometry& g, U* tile, int64_t count, int64_t group) {
  return {tile + group * g.out_channels_per_group(), count, g.out_channels_per_group(),
          g.out_channels, 1};
}

/// Images with their channels innermost: the tensor's own memory where it is laid out so, else a
/// copy of a few at a time.
template <typename T>
class ChannelsLast {
 public:
  ChannelsLast(const Geometry& g, const Tensor& input)
      : geometry_(g),
        input_(view4<const T>(input)),
        zeros_(zeros({g.channels}, dtype_of<T>, input)) {
    copied_ = input_.c != 1 && g.channels > 1;
    const int64_t image_bytes = g.channels * g.height * g.width * static_cast<int64_t>(sizeof(T));
    per_pass_ =
        copied_ ? std::clamp<int64_t>(kChunkBytes / std::max<int64_t>(1, image_bytes), 1, g.batch)
                : g.batch;
    if (copied_)
      buffer_.emplace(empty({per_pass_, g.height, g.width, g.channels}, dtype_of<T>, input));
  }

  int64_t per_pass() const { return per_pass_; }

  void load(int64_t first, int64_t images) {
    first_ = first;
    if (!copied_) return;
    const Geometry& g = geometry_;
    for_workers(images * g.height, [&](int64_t, int64_t, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* row = input_.data + (first + i / g.height) * input_.n + (i % g.height) * input_.h;
        copy_matrix(g.width, g.channels, row, input_.w, input_.c, data() + i * g.width * g.channels,
                    g.channels, 1);
      }
    });
  }

  Image<T> image(int64_t n) const {
    const Geometry& g = geometry_;
    const T* zeros = static_cast<const T*>(zeros_.data_ptr());
    if (!copied_) return {input_.data + n * input_.n, input_.h, input_.w, zeros};
    const int64_t row = g.width * g.channels;
    return {data() + (n - first_) * g.height * row, row, g.channels, zeros};
  }

 private:
  T* data() const { return static_cast<T*>(buffer_->data_ptr()); }

  const Geometry& geometry_;
  View4<const T> input_;
  Tensor zeros_;
  std::optional<Tensor> buffer_;
  bool copied_ = false;
  int64_t per_pass_ = 0, first_ = 0;
};

/// out[n, :, tile] = tile + bias, in the output's dtype and layout.
template <typename T, typename acc_t>
void store_tile(const Geometry& g, acc_t* tile, const T* bias, const View4<T>& out, int64_t n,
                int64_t begin, int64_t count) {
  if (bias)
    for (int64_t i = 0; i < count; ++i)
      for (int64_t o = 0; o < g.out_channels; ++o)
        tile[i * g.out_channels + o] += static_cast<acc_t>(bias[o]);
  for_rows(begin, count, g.out_width, [&](int64_t i, int64_t length, int64_t row, int64_t column) {
    copy_matrix(length, g.out_channels, tile + i * g.out_channels, g.out_channels, 1,
                out.data + n * out.n + row * out.h + column * out.w, out.w, out.c);
  });
}

template <typename T, typename offset_t>
void forward(const Geometry& g, const Operands& t, const std::optional<Tensor>& bias,
             const Tensor& output) {
  using acc_t = acc_type<T>;
  const auto offset = view4<const offset_t>(t.offset), mask = view4<const offset_t>(t.mask);
  const Tensor weights = weight_matrix(t.weight, dtype_of<acc_t>);
  const auto* weight = static_cast<const acc_t*>(weights.data_ptr());
  const Tensor dense_bias = bias ? as_contiguous(*bias) : t.weight;
  const T* bias_data = bias ? static_cast<const T*>(dense_bias.data_ptr()) : nullptr;
  const auto out = view4<T>(output);
  const Tiles tiles = make_tiles<acc_t>(g);
  ChannelsLast<T> images(g, t.input);
  for (int64_t first = 0; first < g.batch; first += images.per_pass()) {
    const int64_t count = std::min(images.per_pass(), g.batch - first);
    images.load(first, count);
    for_workers(count * tiles.count(), [&](int64_t, int64_t, int64_t work_begin, int64_t work_end) {
      std::vector<Tap<acc_t>> taps(tiles.size * g.taps() * g.offset_groups);
      std::vector<acc_t> columns(tiles.size * g.column_size()), tile(tiles.size * g.out_channels);
      for (int64_t work = work_begin; work < work_end; ++work) {
        const int64_t n = first + work / tiles.count(), index = work % tiles.count();
        const int64_t begin = tiles.begin(index), length = tiles.length(index);
        locate_taps(g, offset, mask, n, begin, length, taps.data());
        gather_columns(g, taps.data(), length, images.image(n), columns.data());
        for (int64_t group = 0; group < g.groups; ++group)
          matrix_product<acc_t>(output_block(g, tile.data(), length, group),
                                column_block<const acc_t>(g, columns.data(), length, group),
                                weight_block(g, weight, group), false, t.input);
        store_tile(g, tile.data(), bias_data, out, n, begin, length);
      }
    });
  }
}

template <typename T, typename offset_t>
void backward(const Geometry& g, const Operands& t, const Tensor& grad_output, Gradients& grads) {
  using acc_t = acc_type<T>;
  const auto offset = view4<const offset_t>(t.offset), mask = view4<const offset_t>(t.mask);
  const auto grad_offset = view4<offset_t>(grads.offset), grad_mask = view4<offset_t>(grads.mask);
  const auto grad_out = view4<const T>(grad_output);
  const Tensor weights = weight_matrix(t.weight, dtype_of<acc_t>);
  const auto* weight = static_cast<const acc_t*>(weights.data_ptr());
  const bool through_columns = grads.input || grads.offset || grads.mask;

  const Tiles tiles = make_tiles<acc_t>(g);
  const int64_t tile_columns = tiles.size * g.column_size(),
                tile_taps = tiles.size * g.taps() * g.offset_groups;
  const int64_t tile_bytes = tile_columns * static_cast<int64_t>(sizeof(acc_t));
  const int64_t chunk =
      std::clamp<int64_t>(kChunkBytes / tile_bytes, thread_count(), tiles.count());
  std::vector<Tap<acc_t>> taps(chunk * tile_taps);
  std::vector<acc_t> grad_columns(through_columns ? chunk * tile_columns : 0);

  const int64_t max_workers = std::min(chunk, thread_count()),
                weight_size = g.taps() * g.channels_per_group() * g.out_channels;
  std::vector<acc_t> grad_weights(grads.weight ? max_workers * weight_size : 0);

  // The gradient of an image is summed in acc_t with channels innermost: in place where grad_input
  // is that already.
  const bool in_place = grads.input && std::is_same_v<T, acc_t> && is_channels_last(*grads.input);
  std::vector<acc_t> image_buffer(grads.input && !in_place ? g.height * g.width * g.channels : 0);

  ChannelsLast<T> images(g, t.input);
  for (int64_t n = 0; n < g.batch; ++n) {
    if (n % images.per_pass() == 0) images.load(n, std::min(images.per_pass(), g.batch - n));
    const Image<T> image = images.image(n);
    acc_t* grad_image = image_buffer.data();
    if (in_place)
      grad_image = reinterpret_cast<acc_t*>(view4<T>(*grads.input).data +
                                            n * g.height * g.width * g.channels);
    if (grads.input) std::fill_n(grad_image, g.height * g.width * g.channels, acc_t(0));

    for (int64_t chunk_begin = 0; chunk_begin < tiles.count(); chunk_begin += chunk) {
      const int64_t chunk_tiles = std::min(chunk, tiles.count() - chunk_begin);
      for_workers(chunk_tiles, [&](int64_t worker, int64_t, int64_t first, int64_t last) {
        std::vector<acc_t> tile(tiles.size * g.out_channels),
            columns(grads.weight ? tile_columns : 0);
        for (int64_t i = first; i < last; ++i) {
          const int64_t begin = tiles.begin(chunk_begin + i),
                        length = tiles.length(chunk_begin + i);
          Tap<acc_t>* tile_tap = taps.data() + i * tile_taps;
          locate_taps(g, offset, mask, n, begin, length, tile_tap);
          for_rows(begin, length, g.out_width,
                   [&](int64_t at, int64_t run, int64_t row, int64_t column) {
                     copy_matrix(
                         run, g.out_channels,
                         grad_out.data + n * grad_out.n + row * grad_out.h + column * grad_out.w,
                         grad_out.w, grad_out.c, tile.data() + at * g.out_channels, g.out_channels,
                         1);
                   });
          if (grads.weight) gather_columns(g, tile_tap, length, image, columns.data());
          for (int64_t group = 0; group < g.groups; ++group) {
            const auto grad_tile = output_block<const acc_t>(g, tile.data(), length, group);
            if (grads.weight)
              matrix_product<acc_t>(
                  weight_block(g, grad_weights.data() + worker * weight_size, group),
                  column_block<const acc_t>(g, columns.data(), length, group).transposed(),
                  grad_tile, true, t.input);
            if (through_columns)
              matrix_product<acc_t>(
                  column_block(g, grad_columns.data() + i * tile_columns, length, group), grad_tile,
                  weight_block(g, weight, group).transposed(), false, t.input);
          }
          if (grads.offset || grads.mask)
            tap_gradients(g, tile_tap, n, begin, length, image,
                          grad_columns.data() + i * tile_columns, grad_offset, grad_mask);
        }
      });
      if (!grads.input) continue;
      const int64_t rows = std::min(g.height, thread_count());
      parallel_for(rows, 1, [&](int64_t first, int64_t last) {
        for (int64_t worker = first; worker < last; ++worker)
          for (int64_t i = 0; i < chunk_tiles; ++i)
            scatter_columns(g, taps.data() + i * tile_taps, tiles.length(chunk_begin + i),
                            grad_columns.data() + i * tile_columns, worker, rows, grad_image);
      });
    }
    if (grads.input && !in_place) {
      const auto out = view4<T>(*grads.input);
      for_workers(g.height, [&](int64_t, int64_t, int64_t first, int64_t last) {
        for (int64_t y = first; y < last; ++y)
          copy_matrix(g.width, g.channels, grad_image + y * g.width * g.channels, g.channels, 1,
                      out.data + n * out.n + y * out.h, out.w, out.c);
      });
    }
  }
  if (grads.weight) {
    for (int64_t worker = 1; worker < max_workers; ++worker)
      for (int64_t i = 0; i < weight_size; ++i)
        grad_weights[i] += grad_weights[worker * weight_size + i];
    const auto out = view4<T>(*grads.weight);
    const acc_t* from = grad_weights.data();
    for (int64_t k = 0; k < g.taps(); ++k, from += g.channels_per_group() * g.out_channels)
      copy_matrix(g.channels_per_group(), g.out_channels, from, g.out_channels, 1,
                  out.data + (k / g.kernel_w) * out.h + (k % g.kernel_w) * out.w, out.c, out.n);
  }
}

}  // namespace

Tensor deform_conv2d(Tensor input, Tensor offset, std::optional<Tensor> mask, Tensor weight,
                     std::optional<Tensor> bias, IntList stride, IntList padding, IntList dilation,
                     int64_t groups, int64_t offset_groups) {
  const Operands t{input, offset, mask, weight};
  const Geometry g = make_geometry(t, stride, padding, dilation, groups, offset_groups);
  check_bias(bias, input, g);
  const Tensor output = empty_image(g.batch, g.out_channels, g.out_height, g.out_width,
                                    is_channels_last(input), input.scalar_type(), input);
  if (output.numel() > 0)
    dispatch<Half, BFloat16>(input, offset, [&](auto scalar, auto offset_scalar) {
      forward<typename decltype(scalar)::type, typename decltype(offset_scalar)::type>(g, t, bias,
                                                                                       output);
    });
  return output;
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> deform_conv2d_backward(
    Tensor grad_output, Tensor input, Tensor offset, std::optional<Tensor> mask, Tensor weight,
    IntList stride, IntList padding, IntList dilation, int64_t groups, int64_t offset_groups,
    std::vector<bool> output_mask,
    bool /*deterministic: this backward pass always is, for a given number of threads*/) {
  const Operands t{input, offset, mask, weight};
  const Geometry g = make_geometry(t, stride, padding, dilation, groups, offset_groups);
  check_grad_output(grad_output, input, g);
  Gradients grads(t, output_mask);
  if (g.batch > 0)
    dispatch<Half, BFloat16>(input, offset, [&](auto scalar, auto offset_scalar) {
      backward<typename decltype(scalar)::type, typename decltype(offset_scalar)::type>(
          g, t, grad_output, grads);
    });
  return grads.outputs(grad_output, output_mask[4]);
}

}  // namespace dcnbuild::cpu

DCNBUILD_LIBRARY_IMPL(dcnbuild, CPU, library) {
  library.impl("deform_conv2d", DCNBUILD_KERNEL(dcnbuild::cpu::deform_conv2d));
  library.impl("deform_conv2d_backward", DCNBUILD_KERNEL(dcnbuild::cpu::deform_conv2d_backward));
}
