#include <ATen/ATen.h>
#include <THC/THCAtomics.cuh>
#include <stdio.h>
#include <math.h>
#include <float.h>

using namespace at;

#define CUDA_KERNEL_LOOP(i, n)                                 \
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); \
       i += blockDim.x * gridDim.x)

const int CUDA_NUM_THREADS = 1024;
const int kMaxGridNum = 65535;

inline int GET_BLOCKS(const int N)
{
  return std::min(kMaxGridNum, (N + CUDA_NUM_THREADS - 1) / CUDA_NUM_THREADS);
}

template <typename scalar_t>
__global__ void shift_im2col_gpu_kernel(const int n, const scalar_t *data_im,
                                        const scalar_t *data_offset, const int pad_h,
                                        const int pad_w, scalar_t *data_col)
{
  CUDA_KERNEL_LOOP(index, n)
  {
    atomicAdd(data_col + index, data_im[index] * data_offset[index] * (pad_h - pad_w));
  }
}

void shift_im2col(const at::Tensor data_im, const at::Tensor data_offset, const int channels,
                  const int pad_h, const int pad_w, const int parallel_imgs, at::Tensor data_col)
{
  int num_kernels = channels * parallel_imgs;

  AT_DISPATCH_FLOATING_TYPES_AND_HALF(
      data_im.type(), "shift_im2col_gpu", ([&] {
        const scalar_t *data_im_ = data_im.data<scalar_t>();
        const scalar_t *data_offset_ = data_offset.data<scalar_t>();
        scalar_t *data_col_ = data_col.data<scalar_t>();

        shift_im2col_gpu_kernel<<<GET_BLOCKS(num_kernels), CUDA_NUM_THREADS>>>(
            num_kernels, data_im_, data_offset_, pad_h, pad_h, data_col_);
      }));

  cudaError_t err = cudaGetLastError();
  if (err != cudaSuccess)
  {
    printf("error in shift_im2col: %s\n", cudaGetErrorString(err));
  }
}
