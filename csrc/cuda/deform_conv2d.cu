// deform_conv2d on CUDA, the torch side: memory, layouts, the loop over chunks, and GEMMs through
// torch.
//
// Beyond its outputs a call allocates at most: two chunks of columns (kColumnBytes each, whatever
// the batch and the image), one image in channels-last order, and one image's gradient in the
// accumulation type.
#include <algorithm>

#include "../operands.h"
#include "deform_conv2d.cuh"

namespace dcnbuild {
template <>
constexpr ScalarType dtype_of<__half> = ScalarType::Half;
template <>
constexpr ScalarType dtype_of<__nv_bfloat16> = ScalarType::BFloat16;
}  // namespace dcnbuild

namespace dcnbuild::cuda {
namespace {

/// Bytes that the columns of a chunk may take: a third of the smallest L2 (40 MB on A100) among the
/// GPUs that matter, so that columns, image and output stay in it between the gather and the GEMM.
constexpr int64_t kColumnBytes = 16 << 20;

template <typename T>
int64_t chunk_positions(const Geometry& g) {
  const int64_t position_bytes = g.column_size() * static_cast<int64_t>(sizeof(T));
  return std::clamp<int64_t>(kColumnBytes / position_bytes, 1, g.positions());
}

/// Positions [begin, begin + count) of one image's [out channel][position] map, as [position][out
/// channel of the group]. The map's rows follow each other without gaps.
template <typename U>
Matrix<U> output_block(const Geometry& g, const View4<U>& map, int64_t n, int64_t begin,
                       int64_t count, int64_t group) {
  return {map.data + n * map.n + group * g.out_channels_per_group() * map.c + begin * map.w, count,
          g.out_channels_per_group(), map.w, map.c};
}

/// Whether the rows of [n, c, h, w] follow each other, so that (h, w) is one dimension of stride w.
bool flat_positions(const Tensor& t) {
  return t.size(2) <= 1 || t.stride(2) == t.size(3) * t.stride(3);
}

/// One image at a time with its channels innermost: the tensor's own memory where it is laid out
/// so, else a copy.
template <typename T>
class ChannelsLast {
 public:
  ChannelsLast(const Geometry& g, const Tensor& input)
      : input_(input), copied_(input.stride(1) != 1 && g.channels > 1) {
    if (copied_)
      buffer_.emplace(empty({g.height, g.width, g.channels}, input.scalar_type(), input));
  }

  template <typename offset_t>
  void load(int64_t n, Chunk<T, offset_t>& chunk) const {
    const View4<const T> view = view4<const T>(input_);
    chunk.image = view.data + n * view.n, chunk.row = view.h, chunk.pixel = view.w;
    if (!copied_) return;
    copy_into(*buffer_, permuted(selected(input_, 0, n), {1, 2, 0}));
    chunk.image = static_cast<const T*>(buffer_->data_ptr());
    chunk.row = chunk.g.width * chunk.g.channels, chunk.pixel = chunk.g.channels;
  }

 private:
  const Tensor& input_;
  bool copied_;
  std::optional<Tensor> buffer_;
};

template <typename T, typename offset_t>
void at_image(Chunk<T, offset_t>& chunk, const Operands& t, int64_t n) {
  chunk.offset = view4<const offset_t>(t.offset), chunk.mask = view4<const offset_t>(t.mask);
  chunk.offset.data += n * chunk.offset.n;
  if (chunk.mask.data) chunk.mask.data += n * chunk.mask.n;
}

template <typename T, typename offset_t>
void forward(const Geometry& g, const Operands& t, const Tensor& output, bool accumulate,
             cudaStream_t stream) {
  const Tensor weights = weight_matrix(t.weight, dtype_of<T>);
  const T* weight = static_cast<const T*>(weights.data_ptr());
  const int64_t step = chunk_positions<T>(g);
  const Tensor columns = empty({step * g.column_size()}, dtype_of<T>, t.input);
  T* column = static_cast<T*>(columns.data_ptr());
  const View4<T> out = view4<T>(output);
  const ChannelsLast<T> images(g, t.input);
  Chunk<T, offset_t> chunk{};
  chunk.g = g;
  for (int64_t n = 0; n < g.batch; ++n) {
    images.load(n, chunk);
    at_image(chunk, t, n);
    for (chunk.begin = 0; chunk.begin < g.positions(); chunk.begin += step) {
      chunk.count = std::min(step, g.positions() - chunk.begin);
      DCNBUILD_CUDA_CHECK(gather_columns(chunk, column, stream));
      for (int64_t group = 0; group < g.groups; ++group)
        matrix_product<T>(output_block(g, out, n, chunk.begin, chunk.count, group),
                          column_block<const T>(g, column, chunk.count, group),
                          weight_block(g, weight, group), accumulate, t.input);
    }
  }
}

template <typename U>
View4<U> at_image(View4<U> view, int64_t n) {
  if (view.data) view.data += n * view.n;
  return view;
}

/// The deterministic scatter: sort the corners by pixel, then let one thread own each pixel's sum.
template <typename T, typename offset_t>
void scatter_sorted(const Chunk<T, offset_t>& chunk, const T* grad_columns, acc_type<T>* grad_image,
                    const Tensor& like, cudaStream_t stream) {
  using acc_t = acc_type<T>;
  const Tensor keys = empty({4 * chunk.samples()}, ScalarType::Int, like);
  const Tensor weights = empty({4 * chunk.samples()}, dtype_of<acc_t>, like);
  auto* weight = static_cast<acc_t*>(weights.data_ptr());
  DCNBUILD_CUDA_CHECK(corner_keys(chunk, static_cast<int32_t*>(keys.data_ptr()), weight, stream));
  const auto [sorted, order] = stable_sort(keys);
  DCNBUILD_CUDA_CHECK(
      sum_sorted(chunk, grad_columns, static_cast<const int32_t*>(sorted.data_ptr()),
                 static_cast<const int64_t*>(order.data_ptr()), weight, grad_image, stream));
}

template <typename T, typename offset_t>
void backward(const Geometry& g, const Operands& t, const Tensor& grad_output, Gradients& grads,
              bool deterministic, cudaStream_t stream) {
  using acc_t = acc_type<T>;
  const Tensor weights = weight_matrix(t.weight, dtype_of<T>);
  const T* weight = static_cast<const T*>(weights.data_ptr());
  const bool through_columns = grads.input || grads.offset || grads.mask;
  const int64_t step = chunk_positions<T>(g),
                weight_size = g.taps() * g.channels_per_group() * g.out_channels;
  const Tensor columns = empty({grads.weight ? step * g.column_size() : 0}, dtype_of<T>, t.input);
  const Tensor grad_columns =
      empty({through_columns ? step * g.column_size() : 0}, dtype_of<T>, t.input);
  T *column = static_cast<T*>(columns.data_ptr()),
    *grad_column = static_cast<T*>(grad_columns.data_ptr());

  // Summed in acc_t over all chunks. A half GEMM writes half, so its product goes through `part`.
  constexpr bool native = std::is_same_v<T, acc_t>;
  const Tensor grad_weights =
      zeros({g.kernel_h, g.kernel_w, grads.weight ? g.channels_per_group() : 0, g.out_channels},
            dtype_of<acc_t>, t.input);
  const Tensor part = empty({native || !grads.weight ? 0 : weight_size}, dtype_of<T>, t.input);
  auto* grad_weight = static_cast<acc_t*>(grad_weights.data_ptr());

  const bool in_place = native && grads.input && is_channels_last(*grads.input);
  std::optional<Tensor> image_buffer;
  if (grads.input && !in_place)
    image_buffer.emplace(empty({g.height, g.width, g.channels}, dtype_of<acc_t>, t.input));

  const View4<offset_t> grad_offset = view4<offset_t>(grads.offset),
                        grad_mask = view4<offset_t>(grads.mask);
  const bool flat = flat_positions(grad_output);
  const ChannelsLast<T> images(g, t.input);
  Chunk<T, offset_t> chunk{};
  chunk.g = g;
  for (int64_t n = 0; n < g.batch; ++n) {
    images.load(n, chunk);
    at_image(chunk, t, n);
    // An expanded gradient (strides of zero) is flat too; anything else is copied one image at a
    // time.
    std::optional<Tensor> dense;
    View4<const T> grad_out = view4<const T>(grad_output);
    if (!flat) {
      dense.emplace(as_contiguous(selected(grad_output, 0, n)));
      grad_out = {static_cast<const T*>(dense->data_ptr()), 0, g.positions(), g.out_width, 1};
    }
    acc_t* grad_image = nullptr;
    if (grads.input) {
      Tensor target = in_place ? selected(*grads.input, 0, n) : *image_buffer;
      torch::stable::zero_(target);
      grad_image = static_cast<acc_t*>(target.data_ptr());
    }
    for (chunk.begin = 0; chunk.begin < g.positions(); chunk.begin += step) {
      chunk.count = std::min(step, g.positions() - chunk.begin);
      if (grads.weight) DCNBUILD_CUDA_CHECK(gather_columns(chunk, column, stream));
      for (int64_t group = 0; group < g.groups; ++group) {
        const auto grad_block = output_block(g, grad_out, n, chunk.begin, chunk.count, group);
        if (through_columns)
          matrix_product<T>(column_block(g, grad_column, chunk.count, group), grad_block,
                            weight_block(g, weight, group).transposed(), false, t.input);
        if (grads.weight) {
          const auto column_matrix =
              column_block<const T>(g, column, chunk.count, group).transposed();
          if constexpr (native)
            matrix_product<T>(weight_block(g, grad_weight, group), column_matrix, grad_block, true,
                              t.input);
          else
            matrix_product<T>(weight_block(g, static_cast<T*>(part.data_ptr()), group),
                              column_matrix, grad_block, false, t.input);
        }
      }
      if constexpr (!native)
        if (grads.weight)
          DCNBUILD_CUDA_CHECK(
              accumulate(weight_size, static_cast<const T*>(part.data_ptr()), grad_weight, stream));
      if (grads.offset || grads.mask)
        DCNBUILD_CUDA_CHECK(tap_gradients(chunk, grad_column, at_image(grad_offset, n),
                                          at_image(grad_mask, n), stream));
      if (grads.input && deterministic)
        scatter_sorted(chunk, grad_column, grad_image, t.input, stream);
      else if (grads.input)
        DCNBUILD_CUDA_CHECK(scatter_columns(chunk, grad_column, grad_image, stream));
    }
    if (image_buffer) copy_into(selected(*grads.input, 0, n), permuted(*image_buffer, {2, 0, 1}));
  }
  if (grads.weight) copy_into(*grads.weight, permuted(grad_weights, {3, 2, 0, 1}));
}

}  // namespace

Tensor deform_conv2d(Tensor input, Tensor offset, std::optional<Tensor> mask, Tensor weight,
                     std::optional<Tensor> bias, IntList stride, IntList padding, IntList dilation,
                     int64_t groups, int64_t offset_groups) {
  const Operands t{input, offset, mask, weight};
  const Geometry g = make_geometry(t, stride, padding, dilation, groups, offset_groups);
  check_bias(bias, input, g);
  const DeviceScope device(input);
  const Tensor output = empty_image(g.batch, g.out_channels, g.out_height, g.out_width,
                                    is_channels_last(input), input.scalar_type(), input);
  if (output.numel() == 0) return output;
  if (bias) copy_into(output, viewed(as_contiguous(*bias), {1, g.out_channels, 1, 1}));
  dispatch<__half, __nv_bfloat16>(input, offset, [&](auto scalar, auto offset_scalar) {
    forward<typename decltype(scalar)::type, typename decltype(offset_scalar)::type>(
        g, t, output, bias.has_value(), static_cast<cudaStream_t>(device.stream()));
  });
  return output;
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> deform_conv2d_backward(
    Tensor grad_output, Tensor input, Tensor offset, std::optional<Tensor> mask, Tensor weight,
    IntList stride, IntList padding, IntList dilation, int64_t groups, int64_t offset_groups,
    std::vector<bool> output_mask, bool deterministic) {
  const Operands t{input, offset, mask, weight};
  const Geometry g = make_geometry(t, stride, padding, dilation, groups, offset_groups);
  check_grad_output(grad_output, input, g);
  const DeviceScope device(input);
  Gradients grads(t, output_mask);
  dispatch<__half, __nv_bfloat16>(input, offset, [&](auto scalar, auto offset_scalar) {
    backward<typename decltype(scalar)::type, typename decltype(offset_scalar)::type>(
        g, t, grad_output, grads, deterministic, static_cast<cudaStream_t>(device.stream()));
  });
  return grads.outputs(grad_output, output_mask[4]);
}

}  // namespace dcnbuild::cuda

DCNBUILD_LIBRARY_IMPL(dcnbuild, CUDA, library) {
  library.impl("deform_conv2d", DCNBUILD_KERNEL(dcnbuild::cuda::deform_conv2d));
  library.impl("deform_conv2d_backward", DCNBUILD_KERNEL(dcnbuild::cuda::deform_conv2d_backward));
}
