#include "attention/sample.h"
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

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

namespace groundingdino {

std::string get_compiler_version() {
  std::ostringstream ss;
#if defined(__GNUC__)
  ss << "GCC " << __GNUC__ << "." << __GNUC_MINOR__;
#else
  ss << "unknown";
#endif
  return ss.str();
}

bool has_cuda() { return false; }

static std::tuple<torch::stable::Tensor, torch::stable::Tensor> boxed_sample(const torch::stable::Tensor& value, const torch::stable::Tensor& locations, const std::optional<torch::stable::Tensor>& weights, double scale) {
  return sample(value, locations, weights, scale);
}

static void boxed_scale_(torch::stable::Tensor& x, const std::vector<double>& factors, int64_t offset) {
  scale_(x, factors, ported_narrowed<int>(offset, "offset"));
}

STABLE_TORCH_LIBRARY_FRAGMENT(groundingdino__C, m) {
  m.def("get_compiler_version() -> str");
  m.def("has_cuda() -> bool");
  m.def("sample(Tensor value, Tensor locations, Tensor? weights, float scale=1.0) -> (Tensor, Tensor)");
  m.def("scale_(Tensor(a!) x, float[] factors, int offset=0) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(groundingdino__C, CompositeImplicitAutograd, m) {
  m.impl("get_compiler_version", TORCH_BOX(&get_compiler_version));
  m.impl("has_cuda", TORCH_BOX(&has_cuda));
}

STABLE_TORCH_LIBRARY_IMPL(groundingdino__C, CompositeExplicitAutograd, m) {
  m.impl("sample", TORCH_BOX(&boxed_sample));
  m.impl("scale_", TORCH_BOX(&boxed_scale_));
}

}  // namespace groundingdino
