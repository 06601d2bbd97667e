#include <torch/extension.h>
int mdconv_cuda_forward(at::Tensor input, at::Tensor weight, at::Tensor offset, at::Tensor mask,
                        at::Tensor output, at::Tensor columns, int stride, int pad, int dilation);
