#include <THC/THC.h>
#include "scale_kernel.h"

extern THCState *state;

int scale_forward_cuda(float factor, THCudaTensor *input, THCudaTensor *output) {
  float *in = THCudaTensor_data(state, input);
  float *out = THCudaTensor_data(state, output);
  int n = THCudaTensor_size(state, input, 0);
  cudaStream_t stream = THCState_getCurrentStream(state);
  ScaleForwardLauncher(in, factor, n, out, stream);
  return 1;
}
