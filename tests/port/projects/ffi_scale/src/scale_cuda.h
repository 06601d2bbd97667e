int scale_forward_cuda(float factor, THCudaTensor *input, THCudaTensor *output);
