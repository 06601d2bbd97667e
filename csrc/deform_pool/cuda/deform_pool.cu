// Deformable PS-RoI pooling and deformable RoI pooling on CUDA: the host side.
#include "deform_conv2d/cuda/buffers.h"
#include "deform_pool/cuda/input_gradient.cuh"
#include "deform_pool/cuda/offset_gradient.cuh"
#include "deform_pool/cuda/output.cuh"
#include "deform_pool/operands.h"

namespace dcnbuild::cuda {
namespace {

template <typename T, typename position_t>
PoolCall<T, position_t> make_call(const PoolGeometry& g, const PoolOperands& t) {
  return {g, view4<const T>(t.input), roi_view<position_t>(t.rois),
          view4<const position_t>(t.offset)};
}

Tensor pool_on_device(const PoolOperands& t, const PoolGeometry& g) {
  const DeviceScope device(t.input);
  const Tensor output = empty_pooled(t, g);
  dispatch<__half, __nv_bfloat16>(t.name, t.input, t.rois, [&](auto scalar, auto position) {
    using T = typename decltype(scalar)::type;
    DCNBUILD_CUDA_CHECK(pool(make_call<T, typename decltype(position)::type>(g, t),
                             view4<T>(output), static_cast<cudaStream_t>(device.stream())));
  });
  return output;
}

std::tuple<Tensor, Tensor> pool_backward_on_device(const PoolOperands& t, const PoolGeometry& g,
                                                   const Tensor& grad_output,
                                                   const std::vector<bool>& output_mask,
                                                   bool deterministic) {
  check_grad_pooled(t, g, grad_output, output_mask);
  const DeviceScope device(t.input);
  const auto stream = static_cast<cudaStream_t>(device.stream());
  PoolGradients grads(t, output_mask);
  dispatch<__half, __nv_bfloat16>(t.name, t.input, t.rois, [&](auto scalar, auto position) {
    using T = typename decltype(scalar)::type;
    using position_t = typename decltype(position)::type;
    const auto call = make_call<T, position_t>(g, t);
    const auto upstream = view4<const T>(grad_output);
    if (grads.input) {
      const Tensor sums = grads.sums();
      DCNBUILD_CUDA_CHECK(
          pool_input_gradient(call, upstream, view4<acc_type<T>>(sums), deterministic, stream));
      if (is_half(t.input.scalar_type())) copy_into(*grads.input, sums);
    }
    if (grads.offset)
      DCNBUILD_CUDA_CHECK(
          pool_offset_gradient(call, upstream, view4<position_t>(grads.offset), stream));
  });
  return grads.outputs(t.input);
}

}  // namespace

Tensor deform_psroi_pool(Tensor input, Tensor rois, std::optional<Tensor> trans,
                         double spatial_scale, int64_t group_size, int64_t pooled_size,
                         int64_t part_size, int64_t sample_per_part, double trans_std) {
  const PoolOperands t{"deform_psroi_pool", input, rois, trans};
  return pool_on_device(t, psroi_geometry(t, spatial_scale, group_size, pooled_size, part_size,
                                          sample_per_part, trans_std));
}

std::tuple<Tensor, Tensor> deform_psroi_pool_backward(
    Tensor grad_output, Tensor input, Tensor rois, std::optional<Tensor> trans,
    double spatial_scale, int64_t group_size, int64_t pooled_size, int64_t part_size,
    int64_t sample_per_part, double trans_std, std::vector<bool> output_mask, bool deterministic) {
  const PoolOperands t{"deform_psroi_pool_backward", input, rois, trans};
  return pool_backward_on_device(t,
                                 psroi_geometry(t, spatial_scale, group_size, pooled_size,
                                                part_size, sample_per_part, trans_std),
                                 grad_output, output_mask, deterministic);
}

Tensor deform_roi_pool(Tensor input, Tensor rois, std::optional<Tensor> offset, IntList output_size,
                       double spatial_scale, int64_t sampling_ratio, double gamma) {
  const PoolOperands t{"deform_roi_pool", input, rois, offset};
  return pool_on_device(t, roi_geometry(t, output_size, spatial_scale, sampling_ratio, gamma));
}

std::tuple<Tensor, Tensor> deform_roi_pool_backward(Tensor grad_output, Tensor input, Tensor rois,
                                                    std::optional<Tensor> offset,
                                                    IntList output_size, double spatial_scale,
                                                    int64_t sampling_ratio, double gamma,
                                                    std::vector<bool> output_mask,
                                                    bool deterministic) {
  const PoolOperands t{"deform_roi_pool_backward", input, rois, offset};
  return pool_backward_on_device(t,
                                 roi_geometry(t, output_size, spatial_scale, sampling_ratio, gamma),
                                 grad_output, output_mask, deterministic);
}

}  // namespace dcnbuild::cuda

DCNBUILD_CUDA_LIBRARY_IMPL(library) {
  library.impl("deform_psroi_pool", DCNBUILD_KERNEL(dcnbuild::cuda::deform_psroi_pool));
  library.impl("deform_psroi_pool_backward",
               DCNBUILD_KERNEL(dcnbuild::cuda::deform_psroi_pool_backward));
  library.impl("deform_roi_pool", DCNBUILD_KERNEL(dcnbuild::cuda::deform_roi_pool));
  library.impl("deform_roi_pool_backward",
               DCNBUILD_KERNEL(dcnbuild::cuda::deform_roi_pool_backward));
}
