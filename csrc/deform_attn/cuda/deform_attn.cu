// Multi-scale deformable attention on CUDA: the torch side.
//
// Beyond its outputs, a call allocates at most 3 * column_bytes() (see plan_attn), float32 sums of
// one image of a half value where those are larger, and a copy of value or grad_output where their
// channels do not lie side by side.
#include "common/cuda/scatter_in_order.h"
#include "common/cuda/workspace.h"
#include "deform_attn/cuda/deform_attn.h"
#include "deform_attn/cuda/plan.h"
#include "deform_attn/cuda/value_scatter.cuh"

namespace dcnbuild::cuda {
namespace {

AttnPlan plan_call(const char* name, const AttnGeometry& g, int64_t element_size,
                   int64_t acc_size) {
  DCNBUILD_CHECK(fits_kernels(g), name,
                 ": queries times heads, and value's pixels times heads, must be below 2^31 - 2^16 "
                 "for the CUDA kernels");
  return plan_attn(g, element_size, acc_size, column_bytes());
}

/// The tensor itself where its last dimension lies side by side, else a copy.
Tensor with_dense_channels(const Tensor& t) {
  const int64_t last = t.dim() - 1;
  return t.stride(last) == 1 || t.size(last) == 1 ? t : as_contiguous(t);
}

template <typename T>
QueryView<T> query_view(const Tensor& t, int64_t first) {
  return {static_cast<T*>(t.data_ptr()) + first * t.stride(0), t.stride(0), t.stride(1)};
}

template <typename T>
T at_image(T view, int64_t first) {
  view.data += first * view.n;
  return view;
}

template <typename T>
T* data_at(const std::optional<Tensor>& t, int64_t element) {
  return t ? static_cast<T*>(t->data_ptr()) + element : nullptr;
}

/// Calls body(call, first image) for each pass.
template <typename T, typename offset_t, typename F>
void for_passes(const AttnGeometry& g, const AttnPlan& plan, const AttnOperands& t, const F& body) {
  const Tensor value = with_dense_channels(t.value);
  for (int64_t first = 0; first < g.batch; first += plan.images)
    body(AttnCall<T, offset_t>{AttnShape(g, std::min(plan.images, g.batch - first)),
                               at_image(value_view<const T>(value), first),
                               at_image(point_view<const offset_t>(t.locations), first),
                               at_image(point_view<const offset_t>(t.weights), first),
                               static_cast<acc_type<T>>(g.window.scale)},
         first);
}

/// The sums that a pass adds up to its part of the value's gradient: that gradient's own memory, or
/// for half types a float32 buffer.
template <typename T>
class GradValue {
  using acc_t = acc_type<T>;

 public:
  GradValue(const AttnGeometry& g, const AttnPlan& plan, const std::optional<Tensor>& grad)
      : grad_(grad), image_size_(g.pixels * g.heads * g.channels) {
    if (!grad) return;
    if (std::is_same_v<T, acc_t>)
      fill_zero(*grad);
    else
      buffer_.emplace(plan.images * image_size_, *grad);
  }

  /// Zeros for the images from `first` on; null if the gradient is not wanted.
  acc_t* begin(int64_t first) const {
    if (!buffer_) return data_at<acc_t>(grad_, first * image_size_);
    fill_zero(buffer_->tensor(*grad_));
    return buffer_->data();
  }

  void store(int64_t first, int64_t images) const {
    if (!buffer_) return;
    const int64_t sizes[] = {images * image_size_}, strides[] = {1};
    copy_into(tensor_over<T, 1>(data_at<T>(grad_, first * image_size_), sizes, strides, *grad_),
              tensor_over<acc_t, 1>(buffer_->data(), sizes, strides, *grad_));
  }

 private:
  const std::optional<Tensor>& grad_;
  int64_t image_size_;
  std::optional<Scratch<acc_t>> buffer_;
};

template <typename T, typename offset_t>
void backward(const AttnGeometry& g, const AttnOperands& t, const Tensor& grad_output,
              const AttnGradients& grads, bool deterministic, cudaStream_t stream) {
  using acc_t = acc_type<T>;
  const AttnPlan plan = plan_call(t.name, g, sizeof(T), sizeof(acc_t));
  const Tensor upstream = with_dense_channels(grad_output);
  const GradValue<T> grad_value(g, plan, grads.value);
  const int64_t image_samples = g.queries * g.heads * g.samples();
  for_passes<T, offset_t>(g, plan, t, [&](const auto& call, int64_t first) {
    const auto grad = query_view<const T>(upstream, first);
    acc_t* sums = grad_value.begin(first);
    const AttnDestinations<T, offset_t> to{
        deterministic ? nullptr : sums,
        data_at<offset_t>(grads.locations, 2 * first * image_samples),
        data_at<offset_t>(grads.weights, first * image_samples)};
    if (to.value || to.locations || to.weights)
      DCNBUILD_CUDA_CHECK(attn_gradients(call, grad, to, stream));
    if (sums && deterministic) {
      const int64_t samples = call.shape.images * image_samples;
      for (int64_t begin = 0; begin < samples; begin += plan.samples) {
        const AttnChunk chunk(call.shape, begin, std::min(plan.samples, samples - begin));
        scatter_in_order(
            chunk.count, call.shape.images * g.pixels * g.heads, call.shape.channels,
            QueryGradients<T>{call.shape, chunk, grad}, sums,
            [&](const Keys& keys, acc_t* weights) {
              return attn_keys(call, chunk, keys, weights, stream);
            },
            t.value, stream);
      }
    }
    grad_value.store(first, call.shape.images);
  });
}

}  // namespace

void attend_into(const AttnGeometry& g, const AttnOperands& t, const Tensor& output) {
  if (output.numel() == 0) return;
  const DeviceScope device(t.value);
  dispatch<__half, __nv_bfloat16>(t.name, t.value, t.locations, [&](auto scalar, auto of) {
    using T = typename decltype(scalar)::type;
    using offset_t = typename decltype(of)::type;
    const AttnPlan plan = plan_call(t.name, g, sizeof(T), sizeof(T));
    for_passes<T, offset_t>(g, plan, t, [&](const auto& call, int64_t first) {
      DCNBUILD_CUDA_CHECK(
          attend(call, query_view<T>(output, first), static_cast<cudaStream_t>(device.stream())));
    });
  });
}

void attend_gradients(const AttnGeometry& g, const AttnOperands& t, const Tensor& grad_output,
                      const AttnGradients& grads, bool deterministic) {
  const DeviceScope device(t.value);
  if (grad_output.numel() == 0) return grads.clear();
  dispatch<__half, __nv_bfloat16>(t.name, t.value, t.locations, [&](auto scalar, auto of) {
    backward<typename decltype(scalar)::type, typename decltype(of)::type>(
        g, t, grad_output, grads, deterministic, static_cast<cudaStream_t>(device.stream()));
  });
}

Tensor deform_attn(Tensor value, IntList spatial_shapes, Tensor sampling_locations,
                   Tensor attention_weights) {
  const AttnOperands t{"deform_attn", value, sampling_locations, attention_weights};
  const AttnGeometry g = make_attn_geometry(t, spatial_shapes);
  const Tensor output =
      empty({g.batch, g.queries, g.heads * g.channels}, value.scalar_type(), value);
  attend_into(g, t, output);
  return output;
}

std::tuple<Tensor, Tensor, Tensor> deform_attn_backward(
    Tensor grad_output, Tensor value, IntList spatial_shapes, Tensor sampling_locations,
    Tensor attention_weights, std::vector<bool> output_mask, bool deterministic) {
  const AttnOperands t{"deform_attn_backward", value, sampling_locations, attention_weights};
  const AttnGeometry g = make_attn_geometry(t, spatial_shapes);
  check_attn_grad_output(t, g, grad_output);
  const AttnGradients grads(t, output_mask);
  attend_gradients(g, t, grad_output, grads, deterministic);
  return grads.outputs(value);
}

}  // namespace dcnbuild::cuda

DCNBUILD_CUDA_LIBRARY_IMPL(library) {
  library.impl("deform_attn", DCNBUILD_KERNEL(dcnbuild::cuda::deform_attn));
  library.impl("deform_attn_backward", DCNBUILD_KERNEL(dcnbuild::cuda::deform_attn_backward));
}
