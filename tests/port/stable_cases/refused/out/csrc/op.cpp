#include <torch/extension.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/Dispatch_v2.h>
#include <torch/headeronly/util/Exception.h>
#include <cstdint>

// Twice the tensor: this one can be ported.
torch::stable::Tensor twice(torch::stable::Tensor x) {
  STD_TORCH_CHECK(x.is_contiguous(), "x must be contiguous");
  auto out = torch::stable::empty_like(x);
  THO_DISPATCH_V2(x.scalar_type(), "twice", AT_WRAP(([&] {
    const scalar_t* from = x.const_data_ptr<scalar_t>();
    scalar_t* to = out.mutable_data_ptr<scalar_t>();
    for (int64_t i = 0; i < x.numel(); ++i) to[i] = from[i] + from[i];
  })), AT_EXPAND(AT_ALL_TYPES));
  return out;
}

// These cannot.
struct Twice : public torch::autograd::Function<Twice> {
  static torch::stable::Tensor forward(torch::autograd::AutogradContext* ctx, torch::stable::Tensor x) { return twice(x); }
};

torch::stable::Tensor scaled(torch::stable::Tensor x, at::Scalar factor) { return twice(x); }

py::dict names() { return py::dict(); }

STABLE_TORCH_LIBRARY_FRAGMENT(refused, m) {
  m.def("twice(Tensor x) -> Tensor");
}

STABLE_TORCH_LIBRARY_IMPL(refused, CompositeExplicitAutograd, m) {
  m.impl("twice", TORCH_BOX(&twice));
}

PYBIND11_MODULE(refused, m) {
  m.def("scaled", &scaled);
  m.def("names", &names);
  m.def("thrice", [](torch::stable::Tensor x) { return x; });
}
