// The module's functions.
#include "ms_deform_attn.h"
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

static torch::stable::Tensor boxed_ms_deform_attn_forward(const torch::stable::Tensor& value, const torch::stable::Tensor& spatial_shapes, const torch::stable::Tensor& level_start_index, const torch::stable::Tensor& sampling_loc, const torch::stable::Tensor& attn_weight, int64_t im2col_step) {
  return ms_deform_attn_forward(value, spatial_shapes, level_start_index, sampling_loc, attn_weight, ported_narrowed<int>(im2col_step, "im2col_step"));
}

static std::vector<torch::stable::Tensor> boxed_ms_deform_attn_backward(const torch::stable::Tensor& value, const torch::stable::Tensor& spatial_shapes, const torch::stable::Tensor& level_start_index, const torch::stable::Tensor& sampling_loc, const torch::stable::Tensor& attn_weight, const torch::stable::Tensor& grad_output, int64_t im2col_step) {
  return ms_deform_attn_backward(value, spatial_shapes, level_start_index, sampling_loc, attn_weight, grad_output, ported_narrowed<int>(im2col_step, "im2col_step"));
}

STABLE_TORCH_LIBRARY_FRAGMENT(MultiScaleAttention, m) {
  m.def("ms_deform_attn_forward(Tensor value, Tensor spatial_shapes, Tensor level_start_index, Tensor sampling_loc, Tensor attn_weight, int im2col_step) -> Tensor");
  m.def("ms_deform_attn_backward(Tensor value, Tensor spatial_shapes, Tensor level_start_index, Tensor sampling_loc, Tensor attn_weight, Tensor grad_output, int im2col_step) -> Tensor[]");
}

STABLE_TORCH_LIBRARY_IMPL(MultiScaleAttention, CompositeExplicitAutograd, m) {
  m.impl("ms_deform_attn_forward", TORCH_BOX(&boxed_ms_deform_attn_forward));
  m.impl("ms_deform_attn_backward", TORCH_BOX(&boxed_ms_deform_attn_backward));
}
