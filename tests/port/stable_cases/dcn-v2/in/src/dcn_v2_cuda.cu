#include "dcn_v2.h"

#include <ATen/cuda/CUDAContext.h>
#include <THC/THC.h>

extern THCState *state;

#define CHECK_INPUT(x) AT_CHECK(x.type().is_cuda() && x.is_contiguous(), #x " must be a contiguous CUDA tensor")

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
    at::Tensor input, at::Tensor weight, at::Tensor bias, at::Tensor offset, at::Tensor mask,
    at::Tensor columns, at::Tensor output, int stride, int pad, int dilation) {
  CHECK_INPUT(input);
  CHECK_INPUT(weight);
  at::DeviceGuard guard(input.device());
  const int batch = input.size(0), channels = input.size(1), height = input.size(2), width = input.size(3);
  const int kernel_height = weight.size(2), kernel_width = weight.size(3);
  const int out_height = (height + 2 * pad - dilation * (kernel_height - 1) - 1) / stride + 1;
  const int out_width = (width + 2 * pad - dilation * (kernel_width - 1) - 1) / stride + 1;
  columns.resize_({channels * kernel_height * kernel_width, out_height * out_width});
  auto flat = weight.view({weight.size(0), -1});
  auto ones = at::ones({1, out_height * out_width}, input.options());
  for (int b = 0; b < batch; b++) {
    const int n = columns.numel();
    AT_DISPATCH_FLOATING_TYPES(input.type(), "dcn_v2_forward", [&] {
      modulated_im2col<scalar_t><<<(n + 255) / 256, 256, 0, THCState_getCurrentStream(state)>>>(
          n, input[b].data<scalar_t>(), offset[b].data<scalar_t>(), mask[b].data<scalar_t>(), channels, height, width,
          out_height, out_width, kernel_height, kernel_width, stride, pad, dilation, columns.data<scalar_t>());
    });
    THCudaCheck(cudaGetLastError());
    auto product = at::matmul(flat, columns).view({weight.size(0), out_height, out_width});
    output[b].copy_(product);
  }
  return 1;
}
