int mdconv_cuda_forward(THCudaTensor *input, THCudaTensor *weight, THCudaTensor *offset, THCudaTensor *mask,
                        THCudaTensor *output, THCudaTensor *columns, int stride, int pad, int dilation);
