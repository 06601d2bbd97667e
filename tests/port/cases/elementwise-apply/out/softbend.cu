#include <torch/types.h>
#include <ATen/cuda/CUDAApplyUtils.cuh>
#include <ATen/core/Tensor.h>
#include <ATen/cuda/detail/IndexUtils.cuh>
#include <c10/cuda/CUDAException.h>
#include <algorithm>
#include <cstdint>

#ifndef PORTED_TENSOR_APPLY
#define PORTED_TENSOR_APPLY
// at::cuda::CUDA_tensor_apply1, 3 and 4 as they were: the operation is called with what stands at the same place
// of each tensor, whatever its strides, and may write to any of it.
namespace at { namespace cuda {
template <typename Op, typename... Ts>
__global__ void ported_tensor_apply_kernel(int64_t count, Op op, detail::TensorInfo<Ts, int64_t>... tensors) {
  const int64_t step = static_cast<int64_t>(blockDim.x) * gridDim.x;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < count; i += step) {
    op(tensors.data[detail::IndexToOffset<Ts, int64_t, -1>::get(i, tensors)]...);
  }
}
template <typename T>
detail::TensorInfo<T, int64_t> ported_tensor_info(const at::Tensor& tensor) {
  TORCH_CHECK(tensor.is_cuda(), "expected a CUDA tensor, but it is on ", tensor.device());
  auto info = detail::getTensorInfo<T, int64_t>(tensor);
  info.collapseDims();
  return info;
}
template <typename Op, typename... Ts>
bool ported_tensor_apply(int64_t count, const Op& op, const detail::TensorInfo<Ts, int64_t>&... tensors) {
  const auto blocks = static_cast<unsigned>(std::min<int64_t>((count + 511) / 512, 65535));
  if (count > 0) {
    ported_tensor_apply_kernel<Op, Ts...><<<blocks, 512, 0, getCurrentCUDAStream()>>>(count, op, tensors...);
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  }
  return true;
}
template <typename T1, typename Op, typename... Access>
bool ported_tensor_apply1(const at::Tensor& a, const Op& op, Access...) {
  return ported_tensor_apply(a.numel(), op, ported_tensor_info<T1>(a));
}
template <typename T1, typename T2, typename T3, typename Op, typename... Access>
bool ported_tensor_apply3(const at::Tensor& a, const at::Tensor& b, const at::Tensor& c, const Op& op, Access...) {
  if (b.numel() != a.numel() || c.numel() != a.numel()) return false;
  return ported_tensor_apply(
      a.numel(), op, ported_tensor_info<T1>(a), ported_tensor_info<T2>(b), ported_tensor_info<T3>(c));
}
template <typename T1, typename T2, typename T3, typename T4, typename Op, typename... Access>
bool ported_tensor_apply4(
    const at::Tensor& a, const at::Tensor& b, const at::Tensor& c, const at::Tensor& d, const Op& op, Access...) {
  if (b.numel() != a.numel() || c.numel() != a.numel() || d.numel() != a.numel()) return false;
  return ported_tensor_apply(
      a.numel(), op, ported_tensor_info<T1>(a), ported_tensor_info<T2>(b), ported_tensor_info<T3>(c),
      ported_tensor_info<T4>(d));
}
}}  // namespace at::cuda
#endif  // PORTED_TENSOR_APPLY

namespace kernels {
using at::cuda::CUDA_tensor_apply2;
using at::cuda::ported_tensor_apply4;
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
  ported_tensor_apply4<scalar_t, scalar_t, scalar_t, scalar_t>(
      grad_in, grad_weight, in, grad,
      [=] __host__ __device__(scalar_t& gi, scalar_t& gw, const scalar_t& i, const scalar_t& g) {
        gi = g / (1 + i * i);
        if (i > 0) gw = g * i;
      },
      TensorArgType::ReadWrite, TensorArgType::ReadWrite, TensorArgType::ReadOnly, TensorArgType::ReadOnly);
}
}  // namespace kernels

void softbend_backward(torch::Tensor gi, torch::Tensor gw, torch::Tensor in, torch::Tensor grad) {
  TORCH_CHECK(in.is_cuda(), "in has to be on the GPU");
  at::cuda::ported_tensor_apply1<float>(gw, [] __device__(float& w) { w = 0; });
  AT_DISPATCH_FLOATING_TYPES_AND_HALF(in.scalar_type(), "softbend_backward", [&] {
    kernels::backward<scalar_t>(gi, gw, in, grad);
  });
}
