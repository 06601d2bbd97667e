#include "attention/sample.h"

#include <ATen/Parallel.h>

namespace groundingdino {

#define CHECK_CPU(x) TORCH_CHECK(x.device().is_cpu(), #x " must be a CPU tensor")
#define CHECK_INPUT(x) CHECK_CPU(x); TORCH_CHECK(x.is_contiguous(), #x " must be contiguous")

// value [N, C], locations [M] of rows, weights [M] → the rows times their weights [M, C], and the rows.
std::tuple<Tensor, Tensor> sample(
    const Tensor& value, const Tensor& locations, const c10::optional<Tensor>& weights, float scale) {
  CHECK_INPUT(value);
  CHECK_INPUT(locations);
  TORCH_CHECK(value.dim() == 2, "expected value [N, C], got ", value.sizes());
  TORCH_CHECK_EQ(locations.dim(), 1);
  auto options = torch::TensorOptions().dtype(torch::kLong).device(value.device());
  Tensor rows = torch::empty({locations.size(0)}, options);
  Tensor weight = weights.has_value() ? weights.value() : at::ones({locations.size(0)}, value.options());
  auto out = value.new_zeros({locations.size(0), value.size(1)});
  auto table = rows.accessor<int64_t, 1>();
  AT_DISPATCH_FLOATING_TYPES_AND(at::kHalf, value.scalar_type(), "sample", [&] {
    auto from = value.accessor<scalar_t, 2>();
    auto to = out.accessor<scalar_t, 2>();
    const auto at = locations.to(at::kLong);
    const int64_t* indices = at.data_ptr<int64_t>();
    for (int64_t i = 0; i < locations.numel(); ++i) {
      table[i] = indices[i] % value.size(0);
      const auto w = weight[i].item<float>() * scale;
      for (int64_t c = 0; c < value.size(1); ++c) to[i][c] = static_cast<scalar_t>(from[table[i]][c] * w);
    }
  });
  return std::make_tuple(out.permute({1, 0}).contiguous().t(), at::cat({rows, rows}, 0).narrow(0, 0, rows.size(0)));
}

// x [N, C] times factors[row + offset], in place.
void scale_(Tensor& x, const std::vector<double>& factors, int offset) {
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "scale_", [&] {
    scalar_t* data = x.data_ptr<scalar_t>();
    at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        for (int64_t c = 0; c < x.size(1); ++c) data[row * x.size(1) + c] *= factors.at(row + offset);
    });
  });
}

}  // namespace groundingdino
