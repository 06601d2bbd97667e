cuda_source = '''
#include <torch/extension.h>
#include <THC/THCAtomics.cuh>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>

template <typename scalar_t>
__global__ void sum_kernel(const scalar_t* x, scalar_t* y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) atomicAdd(y, x[i]);
}

at::Tensor forward_cuda(at::Tensor x) {
  c10::cuda::CUDAGuard guard(x.device());
  auto y = at::zeros({1}, x.options());
  AT_DISPATCH_FLOATING_TYPES(x.type(), "forward_cuda", ([&] {
    sum_kernel<scalar_t><<<(x.numel() + 255) / 256, 256>>>(x.data<scalar_t>(), y.data<scalar_t>(), x.numel());
  }));
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return y;
}
'''
