#ifndef WARP_KERNEL
#define WARP_KERNEL

#include <cuda_runtime.h>

void warp_columns(cudaStream_t stream, const float *image, const int channels, const int kernel_h,
                  const int kernel_w, const int pad_h, const int pad_w, float *col);

#endif
