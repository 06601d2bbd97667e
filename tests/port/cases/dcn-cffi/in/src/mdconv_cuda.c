#include <THC/THC.h>

#include "cuda/mdconv_im2col_cuda.h"

extern THCState *state;

int mdconv_cuda_forward(THCudaTensor *input, THCudaTensor *weight, THCudaTensor *offset, THCudaTensor *mask,
                        THCudaTensor *output, THCudaTensor *columns, int stride, int pad, int dilation) {
  THCAssertSameGPU(THCudaTensor_checkGPU(state, 6, input, weight, offset, mask, output, columns));
  THArgCheck(THCudaTensor_isContiguous(state, input), 1, "input tensor has to be contiguous");
  const int channels = THCudaTensor_size(state, input, 1), height = THCudaTensor_size(state, input, 2);
  const int height_out = THCudaTensor_size(state, output, 2), width_out = THCudaTensor_size(state, output, 3);
  const int kernel = THCudaTensor_size(state, weight, 2);
  THCudaTensor_resize2d(state, columns, channels * kernel * kernel, height_out * width_out);
  THCudaTensor *input_n = THCudaTensor_new(state);
  THCudaTensor *output_n = THCudaTensor_new(state);
  for (int b = 0; b < THCudaTensor_size(state, input, 0); b++) {
    THCudaTensor_select(state, input_n, input, 0, b);
    THCudaTensor_select(state, output_n, output, 0, b);
    mdconv_im2col_cuda(THCState_getCurrentStream(state), THCudaTensor_data(state, input_n),
                       THCudaTensor_data(state, offset), THCudaTensor_data(state, mask), channels, height,
                       THCudaTensor_size(state, input, 3), height_out, width_out, kernel, pad, stride, dilation,
                       THCudaTensor_data(state, columns));
    long m = THCudaTensor_size(state, weight, 0), n = height_out * width_out, k = channels * kernel * kernel;
    THCudaBlas_Sgemm(state, 'n', 'n', n, m, k, 1.0f, THCudaTensor_data(state, columns), n,
                     THCudaTensor_data(state, weight), k, 0.0f, THCudaTensor_data(state, output_n), n);
  }
  THCudaTensor_free(state, input_n);
  THCudaTensor_free(state, output_n);
  return 1;
}
