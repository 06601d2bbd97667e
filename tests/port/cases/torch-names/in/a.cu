#include <torch/extension.h>
#include <cub/cub.cuh>

struct Twice {
  __device__ float operator()(float x) const { return 2 * x; }
};

int reduce(at::Tensor x, int n) {
  cub::CountingInputIterator<int> all(0);
  cub::TransformInputIterator<float, Twice, const float*> doubled(x.data_ptr<float>(), Twice());
  cub::Max op;
  return run(all, doubled, op, cub::Sum(), at::cuda::getCurrentCUDAStream());
}
