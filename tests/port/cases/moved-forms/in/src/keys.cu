#include <ATen/ATen.h>
#include <cub/cub.cuh>
#include <cuda_runtime.h>

// cub's functors went with CUDA 13: what an older CUDA gets stays
#if CUDART_VERSION >= 12090
using Largest = ::cuda::maximum<>;
#else
using Largest = cub::Max;
#endif

void fetch(const int* keys, int* largest, int n, cudaStream_t stream) {
  size_t bytes = 0;
#if CUDART_VERSION < 13000
  cudaMemPrefetchAsync(keys, n * sizeof(int), 0, stream);
#endif
  cub::DeviceReduce::Reduce(nullptr, bytes, keys, largest, n, Largest(), 0, stream);
}
