#include <torch/extension.h>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/Types.hpp>
#include <ATen/Functions.h>
#include <vector>

void ensure_group(c10d::ProcessGroup& group, at::Tensor t) {
  TORCH_CHECK(t.device().type() == at::kCUDA && group.getSize() > 0, "a group of GPUs");
}

at::Tensor whiten(at::Tensor x, const at::DeprecatedTypeProperties& type) {
  std::vector<int64_t> shape = x.sizes().vec();
  auto held = (x).data();
  auto made = at::empty({shape[0]}, type.options()).zero_();
  return torch::cholesky_solve(held, torch::linalg_cholesky(x)) + made.to(x.options());
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("whiten", [](at::Tensor x) { return whiten(x, x.type()); });
}
