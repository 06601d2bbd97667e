#include <torch/extension.h>

at::Tensor best(at::Tensor x) {
  auto top = at::zeros({x.size(0), x.size(1)}, at::device(at::kCUDA).dtype(at::kFloat));
  auto where = at::zeros({x.size(0)}, at::device(at::kCUDA).dtype(at::kLong));
  top.select(1, 0).copy_(x.select(1, 0));
  return top;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("best", &best); }
