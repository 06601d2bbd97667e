#include "mdconv_im2col_cuda.h"
#include <stdio.h>

#define CUDA_KERNEL_LOOP(i, n) for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < (n); i += blockDim.x * gridDim.x)

const int CUDA_NUM_THREADS = 512;
inline int GET_BLOCKS(const int N) { return (N + CUDA_NUM_THREADS - 1) / CUDA_NUM_THREADS; }

__device__ float sample_at(const float *plane, int height, int width, float y, float x) {
  int y0 = floorf(y), x0 = floorf(x);
  float value = 0;
  for (int i = 0; i < 2; i++) {
    for (int j = 0; j < 2; j++) {
      if (y0 + i < 0 || y0 + i >= height || x0 + j < 0 || x0 + j >= width) continue;
      value += (i ? y - y0 : 1 - y + y0) * (j ? x - x0 : 1 - x + x0) * __ldg(plane + (y0 + i) * width + x0 + j);
    }
  }
  return value;
}

__global__ void mdconv_im2col_kernel(const int n, const float *image, const float *offset, const float *mask, int height,
                                     int width, int height_out, int width_out, int kernel, int pad, int stride,
                                     int dilation, float *columns) {
  CUDA_KERNEL_LOOP(index, n) {
    int places = height_out * width_out, p = index % places, k = index / places % (kernel * kernel);
    int c = index / places / (kernel * kernel);
    float y = p / width_out * stride - pad + k / kernel * dilation + offset[2 * k * places + p];
    float x = p % width_out * stride - pad + k % kernel * dilation + offset[(2 * k + 1) * places + p];
    columns[index] = mask[k * places + p] * sample_at(image + c * height * width, height, width, y, x);
  }
}

void mdconv_im2col_cuda(cudaStream_t stream, const float *image, const float *offset, const float *mask, int channels,
                        int height, int width, int height_out, int width_out, int kernel, int pad, int stride,
                        int dilation, float *columns) {
  const int n = channels * kernel * kernel * height_out * width_out;
  mdconv_im2col_kernel<<<GET_BLOCKS(n), CUDA_NUM_THREADS, 0, stream>>>(
      n, image, offset, mask, height, width, height_out, width_out, kernel, pad, stride, dilation, columns);
  cudaError_t err = cudaGetLastError();
  if (err != cudaSuccess) {
    printf("error in mdconv_im2col_cuda: %s\n", cudaGetErrorString(err));
  }
}
