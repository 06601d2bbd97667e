#include <torch/extension.h>
#include "dim_apply.h"
#define CHECK_CPU(x) TORCH_CHECK(!x.is_cuda(), #x " must be CPU tensor")
void scatter_mul(at::Tensor src, at::Tensor index, at::Tensor out, int64_t dim) {
  int64_t elems = index.size(dim), out_elems = out.size(dim);
  AT_DISPATCH_ALL_TYPES(src.scalar_type(), "scatter_mul", [&] {
    auto s = src.data_ptr<scalar_t>();
    auto i = index.data_ptr<int64_t>();
    auto o = out.data_ptr<scalar_t>();
    for (int64_t e = 0; e < elems; e++) { TORCH_CHECK(i[e] < out_elems, "Found an index with value ", i[e]); o[i[e]] *= s[e]; }
  });
}
at::Tensor degree(at::Tensor row, int64_t n) {
  auto zero = at::zeros({n}, row.options());
  auto one = at::ones({row.size(0)}, zero.options());
  return zero.scatter_add_(0, row, one).toType(at::kFloat);
}
std::tuple<at::Tensor, at::Tensor> sample(at::Tensor row, at::Tensor x) {
  auto mask = at::empty(row.sizes(), row.options().dtype(at::kByte));
  auto perm = at::randperm(row.size(0), row.options().dtype(at::kLong));
  auto cnt = at::full_like(x, -1);
  return std::make_tuple(mask, perm.type_as(cnt));
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("scatter_mul", &scatter_mul, "Scatter Mul (CPU)"); m.def("degree", &degree); }
at::Tensor to_gpu(at::Tensor x, torch::autograd::Variable y) {
  at::DeviceGuard guard(x.device());
  return y.defined() ? x.to(at::device(at::kCUDA).dtype(at::kInt)) : y;
}
