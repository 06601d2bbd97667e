#ifdef __cplusplus
extern "C" {
#endif

#include <stdio.h>
#include <math.h>
#include "scale_kernel.h"

__global__ void ScaleForward(const int nthreads, const float* bottom, const float factor, float* top) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < nthreads; i += blockDim.x * gridDim.x) {
    top[i] = bottom[i] * factor;
  }
}

int ScaleForwardLauncher(const float* bottom, const float factor, const int n, float* top,
                         cudaStream_t stream) {
  cudaError_t err;
  ScaleForward<<<(n + 255) / 256, 256, 0, stream>>>(n, bottom, factor, top);

  err = cudaGetLastError();
  if (cudaSuccess != err) {
    fprintf(stderr, "cudaCheckError() failed : %s\n", cudaGetErrorString(err));
    exit(-1);
  }
  return 1;
}

#ifdef __cplusplus
}
#endif
