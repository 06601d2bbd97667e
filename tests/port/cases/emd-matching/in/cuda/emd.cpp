#include <vector>
#include <torch/extension.h>

at::Tensor MatchForward(const at::Tensor xyz1, const at::Tensor xyz2);
at::Tensor CostForward(const at::Tensor xyz1, const at::Tensor xyz2, const at::Tensor match);

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("match_forward", &MatchForward, "match (CUDA)");
  m.def("cost_forward", &CostForward, "cost (CUDA)");
}
