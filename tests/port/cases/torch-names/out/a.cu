#include <torch/extension.h>
#include <cub/cub.cuh>
#include <ATen/cuda/CUDAContext.h>
#include <cuda/std/functional>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>
#include <cuda/functional>
#include <c10/cuda/CUDAGuard.h>

struct Twice {
  __device__ float operator()(float x) const { return 2 * x; }
};

int reduce(at::Tensor x, int n) {
  const c10::cuda::OptionalCUDAGuard device_guard(at::device_of(x));
  thrust::counting_iterator<int> all(0);
  thrust::transform_iterator<Twice, const float*, float> doubled(x.data_ptr<float>(), Twice());
  ::cuda::maximum<> op;
  return run(all, doubled, op, ::cuda::std::plus<>(), at::cuda::getCurrentCUDAStream());
}
