#include <torch/torch.h>
#include "dim_apply.h"
#define CHECK_CPU(x) AT_ASSERTM(!x.type().is_cuda(), #x " must be CPU tensor")
void scatter_mul(at::Tensor src, at::Tensor index, at::Tensor out, int64_t dim) {
  int64_t elems = index.size(dim), out_elems = out.size(dim);
  AT_DISPATCH_ALL_TYPES(src.type(), "scatter_mul", [&] {
    auto s = src.data<scalar_t>();
    auto i = index.data<int64_t>();
    auto o = out.data<scalar_t>();
    for (int64_t e = 0; e < elems; e++) { AT_ASSERTM(i[e] < out_elems, "Found an index with value ", i[e]); o[i[e]] *= s[e]; }
  });
}
at::Tensor degree(at::Tensor row, int64_t n) {
  auto zero = at::zeros(row.type(), {n});
  auto one = at::ones(zero.type(), {row.size(0)});
  return zero.scatter_add_(0, row, one).toType(at::kFloat);
}
std::tuple<at::Tensor, at::Tensor> sample(at::Tensor row, at::Tensor x) {
  auto mask = at::empty(row.type().toScalarType(at::kByte), row.sizes());
  auto perm = at::randperm(row.type().toScalarType(at::kLong), row.size(0));
  auto cnt = at::full_like(x, -1);
  return std::make_tuple(mask, perm.type_as(cnt));
}
PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("scatter_mul", &scatter_mul, "Scatter Mul (CPU)"); m.def("degree", &degree); }
at::Tensor to_gpu(at::Tensor x, torch::autograd::Variable y) {
  at::DeviceGuard guard(x.get_device());
  return y.is_variable() ? x.toType(at::CUDA(at::kInt)) : y;
}
