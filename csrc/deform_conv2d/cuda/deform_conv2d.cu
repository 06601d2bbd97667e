// deform_conv2d on CUDA: the loop over chunks, and GEMMs through torch.
//
// For any batch size, a call allocates its outputs, tensors of the weight's size, at most 4 times
// the bytes of a chunk's columns (see chunk_bytes and plan_chunks), and one image each of input and
// grad_input if that is larger.
#include "common/cuda/scatter_in_order.h"
#include "deform_conv2d/cuda/buffers.h"
#include "deform_conv2d/cuda/column_scatter.cuh"
#include "deform_conv2d/cuda/columns.cuh"

namespace dcnbuild::cuda {
namespace {

template <typename T>
ChunkPlan plan_call(const Geometry& g, bool deterministic) {
  DCNBUILD_CHECK(fits_kernels(g),
                 "deform_conv2d: image, padding or kernel is too large for the CUDA kernels: "
                 "height * width and the padded sides must be below 2^31");
  return plan_chunks(g, sizeof(T), sizeof(acc_type<T>), deterministic,
                     column_bytes(chunk_bytes(g, sizeof(T), multiprocessors())));
}

/// Calls body(first image, images) for each pass.
template <typename F>
void for_passes(const Geometry& g, const ChunkPlan& plan, const F& body) {
  for (int64_t first = 0; first < g.batch; first += plan.images)
    body(first, std::min(plan.images, g.batch - first));
}

/// Calls body(range) for the chunks of a pass.
template <typename T, typename offset_t, typename F>
void for_chunks(const Geometry& g, const ChunkPlan& plan, int64_t first, int64_t images,
                Chunk<T, offset_t>& chunk, const F& body) {
  for (int64_t begin = 0; begin < g.positions(); begin += plan.positions) {
    const ChunkRange range{first, images, begin, std::min(plan.positions, g.positions() - begin)};
    chunk.begin = static_cast<int>(begin), chunk.count = static_cast<int>(range.rows());
    body(range);
  }
}

template <typename T, typename offset_t>
Chunk<T, offset_t> chunk_at(const Geometry& g, const Operands& t, int64_t first) {
  Chunk<T, offset_t> chunk{Shape(g), nullptr, 0, 0, {}, {}, 0, 0};
  chunk.offset = at_image(view4<const offset_t>(t.offset), first);
  chunk.mask = at_image(view4<const offset_t>(t.mask), first);
  return chunk;
}

template <typename U>
Matrices<U> column_blocks(const Geometry& g, U* columns, int64_t rows) {
  return {column_block(g, columns, rows, 0), g.groups, rows * g.taps() * g.channels_per_group()};
}

template <typename U>
Matrices<U> weight_blocks(const Geometry& g, U* weights) {
  return {weight_block(g, weights, 0), g.groups, g.out_channels_per_group()};
}

template <typename T, typename offset_t>
void forward(const Geometry& g, const Operands& t, const std::optional<Tensor>& bias,
             const Tensor& output, cudaStream_t stream) {
  const ChunkPlan plan = plan_call<T>(g, false);
  const Tensor weights = weight_matrix(t.weight, dtype_of<T>);
  const Scratch<T> columns(plan.chunk_positions() * g.column_size(), t.input);
  T* column = columns.data();
  const ChannelsLast<T> images(g, plan, t.input, stream);
  const MapRows<T> out(g, plan, output, stream);
  const Tensor dense_bias = bias ? as_contiguous(*bias) : t.weight;
  if (bias && !out.buffer()) copy_into(output, viewed(dense_bias, {1, g.out_channels, 1, 1}));
  for_passes(g, plan, [&](int64_t first, int64_t count) {
    auto chunk = chunk_at<T, offset_t>(g, t, first);
    images.load(first, count, chunk);
    for_chunks(g, plan, first, count, chunk, [&](const ChunkRange& range) {
      DCNBUILD_CUDA_CHECK(gather_columns(chunk, column, stream));
      if (bias && out.buffer())
        copy_into(viewed(out.buffer()->tensor(t.input), {-1, g.out_channels}),
                  viewed(dense_bias, {1, g.out_channels}));
      matrix_products<T>(out.rows(range), column_blocks<const T>(g, column, range.rows()),
                         weight_blocks(g, static_cast<const T*>(weights.data_ptr())),
                         bias.has_value(), t.input);
      out.store(range);
    });
  });
}

/// The gradient of the weight, [tap][channel of the group][out channel] in acc_t, summed over
/// chunks. A GEMM of half types does not add to float32 in every torch, so its product goes through
/// `part`, in float32 if torch can (kWideProducts); the first chunk's need not.
template <typename T>
class GradWeight {
  using acc_t = acc_type<T>;
  static constexpr bool native = std::is_same_v<T, acc_t>;
  using part_t = std::conditional_t<kWideProducts, acc_t, T>;

 public:
  GradWeight(const Geometry& g, const Tensor& like, cudaStream_t stream)
      : geometry_(g),
        like_(like),
        sum_(g.taps() * g.channels_per_group() * g.out_channels, like),
        stream_(stream) {}

  void add(const Matrices<const T>& columns, const Matrices<const T>& grad_output) {
    const bool first = std::exchange(first_, false);
    if constexpr (native) {
      matrix_products<T>(blocks(sum_), columns.transposed(), grad_output, !first, like_);
    } else if constexpr (kWideProducts) {
      if (first) return wide_products<T>(blocks(sum_), columns.transposed(), grad_output, like_);
      wide_products<T>(blocks(part()), columns.transposed(), grad_output, like_);
    } else {
      if (first) fill_zero(sum_.tensor(like_));
      matrix_products<T>(blocks(part()), columns.transposed(), grad_output, false, like_);
    }
    if constexpr (!native)
      DCNBUILD_CUDA_CHECK(accumulate(sum_.count(), part().data(), sum_.data(), stream_));
  }

  void store(const Tensor& grad_weight) const {
    const Geometry& g = geometry_;
    const Tensor sums = viewed(sum_.tensor(like_),
                               {g.kernel_h, g.kernel_w, g.channels_per_group(), g.out_channels});
    copy_into(grad_weight, permuted(sums, {3, 2, 0, 1}));
  }

 private:
  template <typename U>
  Matrices<U> blocks(const Scratch<U>& of) const {
    return weight_blocks(geometry_, of.data());
  }

  const Scratch<part_t>& part() {
    if (!part_) part_.emplace(sum_.count(), like_);
    return *part_;
  }

  const Geometry& geometry_;
  const Tensor& like_;
  Scratch<acc_t> sum_;
  std::optional<Scratch<part_t>> part_;
  cudaStream_t stream_;
  bool first_ = true;
};

template <typename T, typename offset_t>
void backward(const Geometry& g, const Operands& t, const Tensor& grad_output, Gradients& grads,
              bool deterministic, cudaStream_t stream) {
  const ChunkPlan plan = plan_call<T>(g, deterministic);
  const bool through_columns = grads.input || grads.offset || grads.mask;
  const int64_t column_count = plan.chunk_positions() * g.column_size();
  const Tensor weights = weight_matrix(t.weight, dtype_of<T>);
  const Scratch<T> columns(grads.weight ? column_count : 0, t.input);
  const Scratch<T> grad_columns(through_columns ? column_count : 0, t.input);
  T* column = grads.weight ? columns.data() : nullptr;
  T* grad_column = grad_columns.data();
  const ChannelsLast<T> images(g, plan, t.input, stream);
  const GradImages<T> grad_images(g, plan, grads.input, stream);
  const MapRows<const T> grad_out(g, plan, grad_output, stream);
  std::optional<GradWeight<T>> grad_weight;
  if (grads.weight) grad_weight.emplace(g, t.input, stream);
  for_passes(g, plan, [&](int64_t first, int64_t count) {
    auto chunk = chunk_at<T, offset_t>(g, t, first);
    images.load(first, count, chunk);
    acc_type<T>* grad_image = grad_images.begin(first);
    const Destinations<T, offset_t> to{column, deterministic ? nullptr : grad_image,
                                       at_image(view4<offset_t>(grads.offset), first),
                                       at_image(view4<offset_t>(grads.mask), first)};
    for_chunks(g, plan, first, count, chunk, [&](const ChunkRange& range) {
      grad_out.load(range);
      if (through_columns) {
        matrix_products<T>(column_blocks(g, grad_column, range.rows()), grad_out.rows(range),
                           weight_blocks(g, static_cast<const T*>(weights.data_ptr())).transposed(),
                           false, t.input);
        DCNBUILD_CUDA_CHECK(column_gradients(chunk, grad_column, to, stream));
      } else if (grads.weight) {
        DCNBUILD_CUDA_CHECK(gather_columns(chunk, column, stream));
      }
      if (grad_weight)
        grad_weight->add(column_blocks<const T>(g, column, range.rows()), grad_out.rows(range));
      if (grad_image && deterministic)
        scatter_in_order(
            chunk.samples(), count * g.height * g.width * g.offset_groups,
            chunk.shape.per_offset_group, ColumnGradients<T>{chunk.shape, chunk.count, grad_column},
            grad_image,
            [&](const Keys& keys, acc_type<T>* weights) {
              return corner_keys(chunk, keys, weights, stream);
            },
            t.input, stream);
    });
    grad_images.store(first, count);
  });
  if (grad_weight) grad_weight->store(*grads.weight);
}

}  // namespace

Tensor deform_conv2d(Tensor input, Tensor offset, std::optional<Tensor> mask, Tensor weight,
                     std::optional<Tensor> bias, IntList stride, IntList padding, IntList dilation,
                     int64_t groups, int64_t offset_groups) {
  const Operands t{"deform_conv2d", input, offset, mask, weight};
  const Geometry g = make_geometry(t, stride, padding, dilation, groups, offset_groups);
  check_dtype(t.name, input);
  check_bias(bias, t, g);
  const DeviceScope device(input);
  const Tensor output = empty_image(g.batch, g.out_channels, g.out_height, g.out_width,
                                    is_channels_last(input), input.scalar_type(), input);
  if (output.numel() == 0) return output;
  dispatch<__half, __nv_bfloat16>(t.name, input, offset, [&](auto scalar, auto offset_scalar) {
    forward<typename decltype(scalar)::type, typename decltype(offset_scalar)::type>(
        g, t, bias, output, static_cast<cudaStream_t>(device.stream()));
  });
  return output;
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> deform_conv2d_backward(
    Tensor grad_output, Tensor input, Tensor offset, std::optional<Tensor> mask, Tensor weight,
    IntList stride, IntList padding, IntList dilation, int64_t groups, int64_t offset_groups,
    std::vector<bool> output_mask, bool deterministic) {
  const Operands t{"deform_conv2d_backward", input, offset, mask, weight};
  const Geometry g = make_geometry(t, stride, padding, dilation, groups, offset_groups);
  check_dtype(t.name, input);
  check_grad_output(grad_output, t, g);
  const DeviceScope device(input);
  Gradients grads(t, output_mask);
  if (grad_output.numel() == 0) {
    grads.clear();
    return grads.outputs(grad_output, output_mask[4]);
  }
  dispatch<__half, __nv_bfloat16>(t.name, input, offset, [&](auto scalar, auto offset_scalar) {
    backward<typename decltype(scalar)::type, typename decltype(offset_scalar)::type>(
        g, t, grad_output, grads, deterministic, static_cast<cudaStream_t>(device.stream()));
  });
  return grads.outputs(grad_output, output_mask[4]);
}

}  // namespace dcnbuild::cuda

DCNBUILD_CUDA_LIBRARY_IMPL(library) {
  library.impl("deform_conv2d", DCNBUILD_KERNEL(dcnbuild::cuda::deform_conv2d));
  library.impl("deform_conv2d_backward", DCNBUILD_KERNEL(dcnbuild::cuda::deform_conv2d_backward));
}
