#ifdef __cplusplus
extern "C" {
#endif
#include <math.h>
#include <stdio.h>
#include <float.h>
#include "nms_kernel.h"
__device__ inline float devIoU(float const * const a, float const * const b) { return fmaxf(a[0], b[0]); }
__global__ void nms_kernel(int n, float t, float *boxes, unsigned long long *mask) {
  __shared__ float block[64 * 5];
  block[threadIdx.x] = boxes[threadIdx.x];
  __syncthreads();
  if (devIoU(block, boxes) > t) mask[threadIdx.x] = 1ULL;
}
void _nms(int boxes_num, float * boxes_dev, unsigned long long * mask_dev, float t) {
  dim3 blocks(DIVUP(boxes_num, threadsPerBlock), DIVUP(boxes_num, threadsPerBlock));
  nms_kernel<<<blocks, threadsPerBlock>>>(boxes_num, t, boxes_dev, mask_dev);
}
#ifdef __cplusplus
}
#endif
