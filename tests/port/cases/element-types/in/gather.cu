#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDATypeConversion.cuh>

namespace at { namespace native {

template <typename T>
__global__ void gather_rows(const T* in, const int64_t* rows, T* out, int64_t width) {
  out[blockIdx.x * width + threadIdx.x] = in[rows[blockIdx.x] * width + threadIdx.x];
}

Tensor gather(const Tensor& in, const Tensor& rows) {
  auto out = zeros(in.type(), {rows.size(0), in.size(1)});
  AT_DISPATCH_FLOATING_TYPES_AND_HALF(in.type(), "gather", [&] {
    using cuda_t = cuda::type<scalar_t>;
    gather_rows<<<rows.size(0), in.size(1), 0, cuda::getCurrentCUDAStream()>>>(
        in.data<cuda_t>(), rows.data<int64_t>(), out.data<cuda_t>(), in.size(1));
    AT_CUDA_CHECK(cudaGetLastError());
  });
  return out;
}

}}
