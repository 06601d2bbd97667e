#include <ATen/cuda/CUDAContext.h>
#include <torch/extension.h>
void check(at::Tensor input, at::Tensor bias, at::Tensor grad) {
  if (bias.defined() && bias.dim() != 1) TORCH_CHECK(false, "a bias of ", bias.dim(), " dimensions");
  if (!grad.defined() || !input.is_contiguous()) TORCH_CHECK(false, "no gradient");
}
int forward(at::Tensor input, at::Tensor bias) {
  check(input, bias, at::Tensor());
  bias = bias.defined() ? bias.contiguous() : bias;
  return 1;
}
