#include "dcn_v2.h"
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>
#include <tuple>
#include <utility>

#ifndef PORTED_NARROWED
#define PORTED_NARROWED
// A number that an operator hands over, as the type that a function takes, or an error.
template <typename To, typename From>
To ported_narrowed(const From& value, const char* name) {
  if constexpr (std::is_arithmetic_v<From>) {
    if constexpr (std::is_integral_v<To>) {
      STD_TORCH_CHECK(static_cast<From>(static_cast<To>(value)) == value && (value < 0) == (static_cast<To>(value) < 0),
                      name, " is out of range: ", value);
    }
    return static_cast<To>(value);
  } else {
    To found;
    if constexpr (std::is_same_v<From, std::optional<typename From::value_type>>) {
      if (value) found = ported_narrowed<typename To::value_type>(*value, name);
    } else {
      for (auto item : value) found.push_back(ported_narrowed<typename To::value_type>(item, name));
    }
    return found;
  }
}
#endif  // PORTED_NARROWED

#ifndef PORTED_WIDENED
#define PORTED_WIDENED
// What a function returns, as the types that an operator hands back.
template <typename To, typename From>
To ported_widened(From value) {
  if constexpr (std::is_convertible_v<From, To>) {
    return static_cast<To>(std::move(value));
  } else {
    return To(value.begin(), value.end());
  }
}
#endif  // PORTED_WIDENED

static int64_t boxed_dcn_v2_forward(const torch::stable::Tensor& input, const torch::stable::Tensor& weight, const torch::stable::Tensor& bias, const torch::stable::Tensor& offset, const torch::stable::Tensor& mask, const torch::stable::Tensor& columns, const torch::stable::Tensor& output, int64_t stride, int64_t pad, int64_t dilation) {
  return ported_widened<int64_t>(dcn_v2_forward(input, weight, bias, offset, mask, columns, output, ported_narrowed<int>(stride, "stride"), ported_narrowed<int>(pad, "pad"), ported_narrowed<int>(dilation, "dilation")));
}

STABLE_TORCH_LIBRARY_FRAGMENT(_ext, m) {
  m.def("dcn_v2_forward(Tensor input, Tensor weight, Tensor bias, Tensor offset, Tensor mask, Tensor(a!) columns, Tensor(b!) output, int stride, int pad, int dilation) -> int");
}

STABLE_TORCH_LIBRARY_IMPL(_ext, CompositeExplicitAutograd, m) {
  m.impl("dcn_v2_forward", TORCH_BOX(&boxed_dcn_v2_forward));
}
