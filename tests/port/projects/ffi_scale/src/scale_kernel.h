#ifndef _SCALE_KERNEL
#define _SCALE_KERNEL

#ifdef __cplusplus
extern "C" {
#endif

__global__ void ScaleForward(const int nthreads, const float* bottom, const float factor, float* top);

int ScaleForwardLauncher(
    const float* bottom, const float factor, const int n,
    float* top, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
