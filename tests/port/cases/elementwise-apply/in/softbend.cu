#include <torch/types.h>
#include <ATen/cuda/CUDAApplyUtils.cuh>

namespace kernels {
using at::cuda::CUDA_tensor_apply2;
using at::cuda::CUDA_tensor_apply4;
using at::cuda::TensorArgType;

template <typename scalar_t>
void forward(torch::Tensor& out, const torch::Tensor& in) {
  CUDA_tensor_apply2<scalar_t, scalar_t>(
      out, in, [=] __host__ __device__(scalar_t& o, const scalar_t& i) { o = i / (1 + ::fabs(i)); },
      TensorArgType::ReadWrite, TensorArgType::ReadOnly);
}

// Two outputs, of which one is only written where the input is positive.
template <typename scalar_t>
void backward(torch::Tensor& grad_in, torch::Tensor& grad_weight, const torch::Tensor& in, const torch::Tensor& grad) {
  CUDA_tensor_apply4<scalar_t, scalar_t, scalar_t, scalar_t>(
      grad_in, grad_weight, in, grad,
      [=] __host__ __device__(scalar_t& gi, scalar_t& gw, const scalar_t& i, const scalar_t& g) {
        gi = g / (1 + i * i);
        if (i > 0) gw = g * i;
      },
      TensorArgType::ReadWrite, TensorArgType::ReadWrite, TensorArgType::ReadOnly, TensorArgType::ReadOnly);
}
}  // namespace kernels

void softbend_backward(torch::Tensor gi, torch::Tensor gw, torch::Tensor in, torch::Tensor grad) {
  AT_CHECK(in.is_cuda(), "in has to be on the GPU");
  at::cuda::CUDA_tensor_apply1<float>(gw, [] __device__(float& w) { w = 0; });
  AT_DISPATCH_FLOATING_TYPES_AND_HALF(in.type(), "softbend_backward", [&] {
    kernels::backward<scalar_t>(gi, gw, in, grad);
  });
}
