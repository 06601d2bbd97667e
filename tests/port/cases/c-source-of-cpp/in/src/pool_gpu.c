#include <math.h>
#include <torch/extension.h>

#include <ATen/cuda/CUDAContext.h>

#include <THC/THC.h>

#include "pool_gpu_impl.cuh"

at::Tensor pool_forward_cuda(const at::Tensor& features, float scale) {
  auto output = at::zeros({features.size(0), 4}, features.options());
  if (output.numel() == 0) {
    THCudaCheck(cudaGetLastError());
    return output;
  }
  PoolForwardGpu(at::cuda::getCurrentCUDAStream(), features.data<float>(), output.data<float>(), output.numel(), scale);
  return output;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("pool_forward_cuda", &pool_forward_cuda); }
