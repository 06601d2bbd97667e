#include <torch/extension.h>
#include <c10d/ProcessGroup.hpp>
#include <c10d/Types.hpp>
#include <torch/linalg.h>
#include <vector>

void ensure_group(c10d::ProcessGroup& group, at::Tensor t) {
  AT_CHECK(t.type().backend() == at::kCUDA && group.getSize() > 0, "a group of GPUs");
}

at::Tensor whiten(at::Tensor x, const at::Type& type) {
  std::vector<int64_t> shape = x.sizes();
  auto held = torch::autograd::as_variable_ref(x).data();
  auto made = type.tensor({shape[0]}).zero_();
  return torch::cholesky_solve(held, torch::linalg::cholesky(x)) + made.toType(x.type());
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("whiten", [](at::Tensor x) { return whiten(x, x.type()); });
}
