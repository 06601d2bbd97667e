#include "attention/sample.h"

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/Dispatch_v2.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>
#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>
#include <torch/csrc/stable/library.h>
#include <array>
#include <torch/headeronly/core/DeviceType.h>
#include <torch/csrc/stable/device.h>
#include <torch/headeronly/util/HeaderOnlyArrayRef.h>
#include <string>
#include <torch/headeronly/core/TensorAccessor.h>

#ifndef PORTED_CALL
#define PORTED_CALL
// Calls an operator of torch by its name. The arguments are those of its schema, all of them.
template <typename T>
struct PortedResult {
  static constexpr size_t count = 1;
  static T of(const StableIValue* stack) { return torch::stable::detail::to<T>(stack[0]); }
};
template <typename... T>
struct PortedResult<std::tuple<T...>> {
  static constexpr size_t count = sizeof...(T);
  static std::tuple<T...> of(const StableIValue* stack) {
    return {torch::stable::detail::to<T>(*stack++)...};
  }
};
template <typename Result = torch::stable::Tensor, typename... Arguments>
Result ported_call(const char* name, const char* overload, const Arguments&... arguments) {
  constexpr size_t results = PortedResult<Result>::count;
  constexpr size_t size = sizeof...(Arguments) > results ? sizeof...(Arguments) : results;
  std::array<StableIValue, size> stack{torch::stable::detail::from(arguments)...};
  TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(name, overload, stack.data(), TORCH_ABI_VERSION));
  return PortedResult<Result>::of(stack.data());
}
#endif  // PORTED_CALL

#ifndef PORTED_ITEM
#define PORTED_ITEM
// The one value that a tensor holds, as x.item<T>() gave it.
template <typename T>
T ported_item(const torch::stable::Tensor& x) {
  STD_TORCH_CHECK(x.numel() == 1, "expected a tensor of one value, got ", x.numel());
  const torch::stable::Tensor here = torch::stable::to(
      x, torch::headeronly::CppTypeToScalarType<T>::value, std::nullopt,
      torch::stable::Device(torch::headeronly::DeviceType::CPU));
  return *here.const_data_ptr<T>();
}
#endif  // PORTED_ITEM

#ifndef PORTED_TEXT
#define PORTED_TEXT
// Sizes as text: [2, 3].
inline std::string ported_text(torch::headeronly::IntHeaderOnlyArrayRef sizes) {
  std::string text = "[";
  for (size_t i = 0; i < sizes.size(); ++i) text += (i ? ", " : "") + std::to_string(sizes[i]);
  return text + "]";
}
#endif  // PORTED_TEXT

#ifndef PORTED_ACCESSOR
#define PORTED_ACCESSOR
// The accessors of a tensor, as x.accessor<T, N>() and x.packed_accessor32<T, N>() gave them.
template <typename T, size_t N>
torch::headeronly::HeaderOnlyTensorAccessor<T, N> ported_accessor(const torch::stable::Tensor& x) {
  STD_TORCH_CHECK(x.dim() == static_cast<int64_t>(N), "expected ", N, " dimensions, got ", x.dim());
  return {x.mutable_data_ptr<T>(), x.sizes().data(), x.strides().data()};
}
template <typename Index, typename T, size_t N,
          template <typename U> class Traits = torch::headeronly::DefaultPtrTraits>
torch::headeronly::HeaderOnlyGenericPackedTensorAccessor<T, N, Traits, Index> ported_packed(
    const torch::stable::Tensor& x) {
  STD_TORCH_CHECK(x.dim() == static_cast<int64_t>(N), "expected ", N, " dimensions, got ", x.dim());
  return {x.mutable_data_ptr<T>(), x.sizes().data(), x.strides().data()};
}
#endif  // PORTED_ACCESSOR

namespace groundingdino {

#define CHECK_CPU(x) STD_TORCH_CHECK(x.device().is_cpu(), #x " must be a CPU tensor")
#define CHECK_INPUT(x) CHECK_CPU(x); STD_TORCH_CHECK(x.is_contiguous(), #x " must be contiguous")

// value [N, C], locations [M] of rows, weights [M] → the rows times their weights [M, C], and the rows.
std::tuple<torch::stable::Tensor, torch::stable::Tensor> sample(
    const torch::stable::Tensor& value, const torch::stable::Tensor& locations, const std::optional<torch::stable::Tensor>& weights, float scale) {
  CHECK_INPUT(value);
  CHECK_INPUT(locations);
  STD_TORCH_CHECK(value.dim() == 2, "expected value [N, C], got ", ported_text(value.sizes()));
  STD_TORCH_CHECK((locations.dim()) == (1));
  torch::stable::Tensor rows = torch::stable::empty({locations.size(0)}, torch::headeronly::ScalarType::Long, std::nullopt, value.device());
  torch::stable::Tensor weight = weights.has_value() ? weights.value() : torch::stable::full({locations.size(0)}, 1, value.scalar_type(), std::nullopt, value.device());
  auto out = torch::stable::new_zeros(value, {locations.size(0), value.size(1)});
  auto table = ported_accessor<int64_t, 1>(rows);
  THO_DISPATCH_V2(value.scalar_type(), "sample", AT_WRAP(([&] {
    auto from = ported_accessor<scalar_t, 2>(value);
    auto to = ported_accessor<scalar_t, 2>(out);
    const auto at = torch::stable::to(locations, torch::headeronly::ScalarType::Long);
    const int64_t* indices = at.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < locations.numel(); ++i) {
      table[i] = indices[i] % value.size(0);
      const auto w = ported_item<float>(torch::stable::select(weight, 0, i)) * scale;
      for (int64_t c = 0; c < value.size(1); ++c) to[i][c] = static_cast<scalar_t>(from[table[i]][c] * w);
    }
  })), AT_EXPAND(AT_FLOATING_TYPES), torch::headeronly::ScalarType::Half);
  return std::make_tuple(ported_call("aten::t", "", torch::stable::contiguous(ported_call("aten::permute", "", out, std::vector<int64_t>{1, 0}))), ported_call("aten::narrow", "", ported_call("aten::cat", "", std::vector<torch::stable::Tensor>{rows, rows}, int64_t(0)), int64_t(0), int64_t(0), int64_t(rows.size(0))));
}

// x [N, C] times factors[row + offset], in place.
void scale_(torch::stable::Tensor& x, const std::vector<double>& factors, int offset) {
  THO_DISPATCH_V2(x.scalar_type(), "scale_", AT_WRAP(([&] {
    scalar_t* data = x.mutable_data_ptr<scalar_t>();
    torch::stable::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        for (int64_t c = 0; c < x.size(1); ++c) data[row * x.size(1) + c] *= factors.at(row + offset);
    });
  })), AT_EXPAND(AT_FLOATING_TYPES));
}

}  // namespace groundingdino
