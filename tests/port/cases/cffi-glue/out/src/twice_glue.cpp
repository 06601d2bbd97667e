#include <ATen/cuda/CUDAContext.h>
#include "twice_kernel.h"
#include <torch/extension.h>
#include <c10/cuda/CUDAGuard.h>

int twice(at::Tensor in, at::Tensor out) {
  const c10::cuda::OptionalCUDAGuard device_guard(at::device_of(in));
  out.resize_as_(in);
  int n = in.size(0) * in.size(1);
  twice_launch(at::cuda::getCurrentCUDAStream(), in.data_ptr<float>(), out.data_ptr<float>(), n);
  return 1;
}
