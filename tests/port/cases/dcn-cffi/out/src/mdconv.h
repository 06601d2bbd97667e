#include <torch/extension.h>
int mdconv_forward(at::Tensor input, at::Tensor weight, at::Tensor bias, at::Tensor ones,
                   at::Tensor offset, at::Tensor mask, at::Tensor output, at::Tensor columns,
                   int stride, int pad, int dilation, int groups);

int mdconv_backward(at::Tensor input, at::Tensor weight, at::Tensor bias, at::Tensor ones,
                    at::Tensor offset, at::Tensor mask, at::Tensor columns, at::Tensor grad_input,
                    at::Tensor grad_weight, at::Tensor grad_bias, at::Tensor grad_offset,
                    at::Tensor grad_mask, at::Tensor grad_output, int stride, int pad, int dilation,
                    int groups);
