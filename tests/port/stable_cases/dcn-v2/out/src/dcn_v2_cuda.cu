#include "dcn_v2.h"

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/macros.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/Dispatch_v2.h>
#include <torch/headeronly/util/Exception.h>
#include <math.h>
#include <cstdint>
#include <optional>
#include <vector>
#include <cmath>
#include <torch/csrc/stable/library.h>
#include <array>
#include <tuple>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/headeronly/util/shim_utils.h>
#include <cuda_runtime.h>

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

#define CHECK_INPUT(x) STD_TORCH_CHECK(x.is_cuda() && x.is_contiguous(), #x " must be a contiguous CUDA tensor")

template <typename T>
__device__ T bilinear(const T *data, int height, int width, T y, T x) {
  const int top = floor(y), left = floor(x);
  T sum = 0;
  for (int i = 0; i < 4; ++i) {
    const int row = top + i / 2, column = left + i % 2;
    if (row < 0 || row >= height || column < 0 || column >= width) continue;
    sum += (i / 2 ? y - top : 1 - y + top) * (i % 2 ? x - left : 1 - x + left) * data[row * width + column];
  }
  return sum;
}

template <typename T>
__global__ void modulated_im2col(
    int n, const T *input, const T *offset, const T *mask, int channels, int height, int width, int out_height,
    int out_width, int kernel_height, int kernel_width, int stride, int pad, int dilation, T *columns) {
  const int place = blockIdx.x * blockDim.x + threadIdx.x;
  if (place >= n) return;
  const int taps = kernel_height * kernel_width, pixels = out_height * out_width;
  const int pixel = place % pixels, tap = place / pixels % taps, channel = place / pixels / taps;
  const T y = pixel / out_width * stride - pad + tap / kernel_width * dilation + offset[2 * tap * pixels + pixel];
  const T x = pixel % out_width * stride - pad + tap % kernel_width * dilation + offset[(2 * tap + 1) * pixels + pixel];
  columns[place] = bilinear(input + channel * height * width, height, width, y, x) * mask[tap * pixels + pixel];
}

int dcn_v2_forward(
    torch::stable::Tensor input, torch::stable::Tensor weight, torch::stable::Tensor bias, torch::stable::Tensor offset, torch::stable::Tensor mask,
    torch::stable::Tensor columns, torch::stable::Tensor output, int stride, int pad, int dilation) {
  CHECK_INPUT(input);
  CHECK_INPUT(weight);
  torch::stable::accelerator::DeviceGuard guard(input.get_device_index());
  const int batch = input.size(0), channels = input.size(1), height = input.size(2), width = input.size(3);
  const int kernel_height = weight.size(2), kernel_width = weight.size(3);
  const int out_height = (height + 2 * pad - dilation * (kernel_height - 1) - 1) / stride + 1;
  const int out_width = (width + 2 * pad - dilation * (kernel_width - 1) - 1) / stride + 1;
  ported_call("aten::resize_", "", columns, std::vector<int64_t>{channels * kernel_height * kernel_width, out_height * out_width}, std::nullopt);
  auto flat = torch::stable::view(weight, {weight.size(0), -1});
  auto ones = torch::stable::full({1, out_height * out_width}, 1, input.scalar_type(), std::nullopt, input.device());
  for (int b = 0; b < batch; b++) {
    const int n = columns.numel();
    THO_DISPATCH_V2(input.scalar_type(), "dcn_v2_forward", AT_WRAP(([&] {
      modulated_im2col<scalar_t><<<(n + 255) / 256, 256, 0, ported_current_stream()>>>(
          n, torch::stable::select(input, 0, b).const_data_ptr<scalar_t>(), torch::stable::select(offset, 0, b).const_data_ptr<scalar_t>(), torch::stable::select(mask, 0, b).const_data_ptr<scalar_t>(), channels, height, width,
          out_height, out_width, kernel_height, kernel_width, stride, pad, dilation, columns.mutable_data_ptr<scalar_t>());
    })), AT_EXPAND(AT_FLOATING_TYPES));
    STD_CUDA_CHECK(cudaGetLastError());
    auto product = torch::stable::view(torch::stable::matmul(flat, columns), {weight.size(0), out_height, out_width});
    ported_call("aten::copy_", "", torch::stable::select(output, 0, b), product, bool(false));
  }
  return 1;
}
