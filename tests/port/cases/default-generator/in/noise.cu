#include <torch/extension.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/CUDAGenerator.h>
#include <curand_kernel.h>
#include <cub/cub.cuh>
#include <mutex>
__global__ void noise(float* p, std::pair<uint64_t, uint64_t> seeds, int n) {
  curandStatePhilox4_32_10_t st;
  curand_init(seeds.first, threadIdx.x, seeds.second, &st);
  if (threadIdx.x < n) p[threadIdx.x] = curand_uniform(&st);
}
void add_noise(at::Tensor x) {
  auto gen = at::cuda::detail::getDefaultCUDAGenerator();
  std::pair<uint64_t, uint64_t> rng;
  {
    std::lock_guard<std::mutex> lock(gen->mutex_);
    rng = gen->philox_engine_inputs(4);
  }
  noise<<<1, 32, 0, at::cuda::getCurrentCUDAStream()>>>(x.data<float>(), rng, x.numel());
}
void total(const float* in, float* out, int n, cudaStream_t s) {
  size_t bytes = 0;
  cub::DeviceReduce::Reduce(nullptr, bytes, in, out, n, cub::Sum(), 0.f, s);
  void* tmp = c10::cuda::CUDACachingAllocator::raw_alloc(bytes);
  cub::DeviceReduce::Reduce(tmp, bytes, in, out, n, cub::Sum(), 0.f, s);
  c10::cuda::CUDACachingAllocator::raw_delete(tmp);
}
