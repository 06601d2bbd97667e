#include <vector>

#include "cuda/ms_deform_im2col_cuda.cuh"

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/macros.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/Dispatch_v2.h>
#include <torch/headeronly/util/Exception.h>
#include <algorithm>
#include <math.h>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <cuda.h>
#include <cuda_runtime.h>
#include <torch/csrc/stable/library.h>
#include <array>
#include <tuple>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/headeronly/util/shim_utils.h>

#ifndef PORTED_CALL
#define PORTED_CALL
// Calls an operator of torch by its name. The arguments are those of its schema, all of them.
template <typename T>
struct PortedResult {
  static constexpr size_t count = 1;
  static T of(const StableIValue* stack) { return torch::stable::detail::to<T>(stack[0]); }
};
template <typename... T>
struct PortedResult<std::tuple<T...>> {
  static constexpr size_t count = sizeof...(T);
  static std::tuple<T...> of(const StableIValue* stack) {
    return {torch::stable::detail::to<T>(*stack++)...};
  }
};
template <typename Result = torch::stable::Tensor, typename... Arguments>
Result ported_call(const char* name, const char* overload, const Arguments&... arguments) {
  constexpr size_t results = PortedResult<Result>::count;
  constexpr size_t size = sizeof...(Arguments) > results ? sizeof...(Arguments) : results;
  std::array<StableIValue, size> stack{torch::stable::detail::from(arguments)...};
  TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(name, overload, stack.data(), TORCH_ABI_VERSION));
  return PortedResult<Result>::of(stack.data());
}
#endif  // PORTED_CALL

#ifndef PORTED_CURRENT_STREAM
#define PORTED_CURRENT_STREAM
// torch's current stream on a GPU, the current one unless another is named.
extern "C" AOTITorchError aoti_torch_get_current_cuda_stream(int32_t device_index, void** stream);
inline cudaStream_t ported_current_stream(int32_t device = -1) {
  void* stream = nullptr;
  if (device < 0) device = torch::stable::accelerator::getCurrentDeviceIndex();
  TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(device, &stream));
  return static_cast<cudaStream_t>(stream);
}
#endif  // PORTED_CURRENT_STREAM

torch::stable::Tensor ms_deform_attn_cuda_forward(
    const torch::stable::Tensor &value, const torch::stable::Tensor &spatial_shapes, const torch::stable::Tensor &level_start_index,
    const torch::stable::Tensor &sampling_loc, const torch::stable::Tensor &attn_weight, const int im2col_step) {
  STD_TORCH_CHECK(value.is_contiguous(), "value tensor has to be contiguous");
  STD_TORCH_CHECK(value.is_cuda(), "value must be a CUDA tensor");
  STD_TORCH_CHECK(sampling_loc.is_cuda(), "sampling_loc must be a CUDA tensor");
  const torch::stable::accelerator::DeviceGuard device_guard(value.get_device_index());

  const int batch = value.size(0), keys = value.size(1), heads = value.size(2), channels = value.size(3);
  const int levels = spatial_shapes.size(0), queries = sampling_loc.size(1), points = sampling_loc.size(4);
  const int step = std::min(batch, im2col_step);
  STD_TORCH_CHECK(batch % step == 0, "batch(", batch, ") must divide im2col_step(", step, ")");

  auto output = torch::stable::new_zeros(value, {batch, queries, heads, channels});
  auto output_n = torch::stable::view(output, {batch / step, step, queries, heads, channels});
  auto per_value = keys * heads * channels;
  auto per_location = queries * heads * levels * points * 2;
  auto per_weight = queries * heads * levels * points;
  for (int n = 0; n < batch / step; ++n) {
    auto columns = torch::stable::select(output_n, 0, n);
    THO_DISPATCH_V2(value.scalar_type(), "ms_deform_attn_forward_cuda", AT_WRAP(([&] {
      ms_deformable_im2col_cuda(
          ported_current_stream(),
          value.const_data_ptr<scalar_t>() + n * step * per_value,
          spatial_shapes.const_data_ptr<int64_t>(),
          level_start_index.const_data_ptr<int64_t>(),
          sampling_loc.const_data_ptr<scalar_t>() + n * step * per_location,
          attn_weight.const_data_ptr<scalar_t>() + n * step * per_weight,
          step, keys, heads, channels, levels, queries, points,
          columns.mutable_data_ptr<scalar_t>());
    })), AT_EXPAND(AT_FLOATING_TYPES));
  }
  output = torch::stable::view(output, {batch, queries, heads * channels});
  return output;
}

std::vector<torch::stable::Tensor> ms_deform_attn_cuda_backward(
    const torch::stable::Tensor &value, const torch::stable::Tensor &spatial_shapes, const torch::stable::Tensor &level_start_index,
    const torch::stable::Tensor &sampling_loc, const torch::stable::Tensor &attn_weight, const torch::stable::Tensor &grad_output,
    const int im2col_step) {
  STD_TORCH_CHECK(grad_output.is_contiguous(), "grad_output tensor has to be contiguous");
  const torch::stable::accelerator::DeviceGuard device_guard(value.get_device_index());
  const int batch = value.size(0), keys = value.size(1), heads = value.size(2), channels = value.size(3);
  const int levels = spatial_shapes.size(0), queries = sampling_loc.size(1), points = sampling_loc.size(4);
  auto grad_value = ported_call("aten::zeros_like", "", value, std::nullopt, std::nullopt, std::nullopt, std::nullopt, std::nullopt);
  auto grad_loc = ported_call("aten::zeros_like", "", sampling_loc, std::nullopt, std::nullopt, std::nullopt, std::nullopt, std::nullopt);
  auto grad_weight = ported_call("aten::zeros_like", "", attn_weight, std::nullopt, std::nullopt, std::nullopt, std::nullopt, std::nullopt);
  const int n = batch * queries * heads * channels;
  THO_DISPATCH_V2(value.scalar_type(), "ms_deform_attn_backward_cuda", AT_WRAP(([&] {
    ms_deformable_col2im_kernel<scalar_t>
        <<<GET_BLOCKS(n), CUDA_NUM_THREADS, 0, ported_current_stream()>>>(
            n, grad_output.const_data_ptr<scalar_t>(), spatial_shapes.const_data_ptr<int64_t>(),
            level_start_index.const_data_ptr<int64_t>(), sampling_loc.const_data_ptr<scalar_t>(),
            attn_weight.const_data_ptr<scalar_t>(), keys, heads, channels, levels, queries, points,
            grad_value.mutable_data_ptr<scalar_t>());
  })), AT_EXPAND(AT_FLOATING_TYPES));
  STD_CUDA_CHECK(cudaGetLastError());
  return {grad_value, grad_loc, grad_weight};
}
