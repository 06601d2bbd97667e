#include <torch/torch.h>

int pool_forward(at::Tensor x, at::Tensor y) {
  AT_CHECK(x.dim() == 4, "x must have 4 dimensions");
  y.copy_(x);
  return 1;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("pool_forward", &pool_forward); }
