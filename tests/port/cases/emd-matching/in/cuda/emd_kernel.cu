#include <algorithm>
#include <vector>
#include <torch/extension.h>
#include <ATen/cuda/CUDAApplyUtils.cuh>
#include <THC/THC.h>

#define CHECK_CUDA(x) AT_CHECK(x.type().is_cuda(), #x " must be a CUDA tensor")
#define CHECK_CONTIGUOUS(x) AT_CHECK(x.is_contiguous(), #x " must be contiguous")
#define CHECK_INPUT(x) CHECK_CUDA(x); CHECK_CONTIGUOUS(x)

template <typename scalar_t>
__global__ void match_kernel(int b, int n, int m, const scalar_t* __restrict__ xyz1, const scalar_t* __restrict__ xyz2,
                             scalar_t* __restrict__ match, scalar_t* temp) {
  for (int i = blockIdx.x; i < b; i += gridDim.x) {
    for (int k = threadIdx.x; k < n * m; k += blockDim.x) match[i * n * m + k] = expf(-xyz1[k % n] * xyz2[k % m]);
    __syncthreads();
  }
}

at::Tensor MatchForward(const at::Tensor xyz1, const at::Tensor xyz2) {
  const auto b = xyz1.size(0);
  const auto n = xyz1.size(1);
  const auto m = xyz2.size(1);
  CHECK_EQ(xyz2.size(0), b);
  CHECK_EQ(xyz1.size(2), 3);
  CHECK_INPUT(xyz1);
  CHECK_INPUT(xyz2);
  auto match = at::zeros({b, m, n}, xyz1.type());
  auto temp = at::zeros({b, (n + m) * 2}, xyz1.type());
  AT_DISPATCH_FLOATING_TYPES(xyz1.scalar_type(), "MatchForward", ([&] {
    match_kernel<scalar_t><<<32, 512>>>(b, n, m, xyz1.data<scalar_t>(), xyz2.data<scalar_t>(), match.data<scalar_t>(), temp.data<scalar_t>());
  }));
  THCudaCheck(cudaGetLastError());
  return match;
}

at::Tensor CostForward(const at::Tensor xyz1, const at::Tensor xyz2, const at::Tensor match) {
  auto cost = at::empty({xyz1.size(0)}, xyz1.type());
  at::Tensor ones = torch::ones_like(cost).toType(cost.type());
  return cost.fill_(at::Scalar(0)) + (match.sum({1, 2})).type_as(cost);
}
