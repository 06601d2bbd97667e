// A focal loss of the kind that lives in detection repositories.
#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>

#include <THC/THC.h>
#include <THC/THCAtomics.cuh>
#include <THC/THCDeviceUtils.cuh>

#include <cfloat>

template <typename T>
__global__ void loss_kernel(const int n, const T *logits, const int *targets, T *losses) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) {
    T p = 1. / (1. + expf(-logits[i]));
    losses[i] = -p * logf(max(p, FLT_MIN)) * (targets[i] >= 0);
  }
}

at::Tensor loss_cuda(const at::Tensor &logits, const at::Tensor &targets, const int num_classes) {
  AT_ASSERTM(logits.type().is_cuda(), "logits must be a CUDA tensor");
  AT_ASSERTM(logits.dim() == 2, "logits should be NxClass");

  auto losses = at::empty({logits.size(0), logits.size(1)}, logits.options());
  auto losses_size = logits.size(0) * logits.size(1);
  cudaStream_t stream = at::cuda::getCurrentCUDAStream();

  dim3 grid(std::min(THCCeilDiv((long)losses_size, 512L), 4096L));
  dim3 block(512);
  if (losses.numel() == 0) {
    THCudaCheck(cudaGetLastError());
    return losses;
  }

  AT_DISPATCH_FLOATING_TYPES(logits.type(), "loss_forward", [&] {
    loss_kernel<scalar_t><<<grid, block, 0, stream>>>(
        losses_size, logits.contiguous().data<scalar_t>(), targets.contiguous().data<int>(),
        losses.data<scalar_t>());
  });
  THCudaCheck(cudaGetLastError());
  return losses;
}
