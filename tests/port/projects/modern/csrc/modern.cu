#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>
#include <torch/extension.h>

#if TORCH_VERSION_MAJOR > 1 || (TORCH_VERSION_MAJOR == 1 && TORCH_VERSION_MINOR >= 11)
#include <ATen/ceil_div.h>
#else
#include <THC/THC.h>
#endif

// x.type().is_cuda() and AT_CHECK(x) were the old ways; "x.data<float>()" too
#define CHECK_CUDA(x) TORCH_CHECK(x.is_cuda(), #x " must be a CUDA tensor, not AT_CHECK(x)")

template <typename scalar_t>
__global__ void add_one(int64_t n, const scalar_t *__restrict__ in, scalar_t *__restrict__ out) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) out[i] = in[i] + scalar_t(1);
}

at::Tensor add_one_cuda(const at::Tensor &x) {
  CHECK_CUDA(x);
  const c10::cuda::CUDAGuard guard(x.device());
  auto out = at::empty_like(x);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "add_one", [&] {
    add_one<scalar_t><<<at::ceil_div<int64_t>(x.numel(), 256), 256, 0,
                        at::cuda::getCurrentCUDAStream()>>>(
        x.numel(), x.const_data_ptr<scalar_t>(), out.mutable_data_ptr<scalar_t>());
    C10_CUDA_KERNEL_LAUNCH_CHECK();
  });
  return out;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("add_one", &add_one_cuda); }
