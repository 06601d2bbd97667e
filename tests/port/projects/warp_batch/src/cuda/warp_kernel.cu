#include "warp_kernel.h"
#include <cstdio>
#include <algorithm>

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>

#include <THC/THC.h>
#include <THC/THCAtomics.cuh>
#include <THC/THCDeviceUtils.cuh>

#define KERNEL_LOOP(i, n) \
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += blockDim.x * gridDim.x)

template <typename T>
__global__ void columns_kernel(const int n, const T *image, const int pad_h, const int pad_w, T *col)
{
  KERNEL_LOOP(i, n)
  {
    atomicAdd(col + i, image[i] * static_cast<T>(pad_h + pad_w));
  }
}

void warp_columns(cudaStream_t stream, const float *image, const int channels, const int kernel_h,
                  const int kernel_w, const int pad_h, const int pad_w, float *col)
{
  const int n = channels * kernel_h * kernel_w;
  columns_kernel<<<(n + 1023) / 1024, 1024, 0, stream>>>(n, image, pad_h, pad_h, col);

  cudaError_t err = cudaGetLastError();
  if (err != cudaSuccess)
  {
    printf("error in warp_columns: %s\n", cudaGetErrorString(err));
  }
}

std::tuple<at::Tensor, at::Tensor> pool_cuda(const at::Tensor &input, const at::Tensor &boxes)
{
  AT_ASSERTM(input.type().is_cuda(), "input must be a CUDA tensor");
  auto out = at::empty_like(input);
  auto count = at::zeros_like(input);
  long out_size = out.numel();
  cudaStream_t stream = at::cuda::getCurrentCUDAStream();
  if (out.numel() == 0)
  {
    THCudaCheck(cudaGetLastError());
    return std::make_tuple(out, count);
  }
  dim3 grid(std::min(THCCeilDiv(out_size, 512L), 4096L));
  dim3 block(512);
  AT_DISPATCH_FLOATING_TYPES(input.type(), "pool_cuda", [&] {
    columns_kernel<scalar_t><<<grid, block, 0, stream>>>(
        out_size, input.contiguous().data<scalar_t>(), 1, 1, out.data<scalar_t>());
  });
  THCudaCheck(cudaGetLastError());
  return std::make_tuple(out, count);
}
