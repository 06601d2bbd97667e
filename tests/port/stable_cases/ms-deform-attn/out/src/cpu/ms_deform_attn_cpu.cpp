#include <vector>

#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/Dispatch_v2.h>
#include <torch/headeronly/core/ScalarType.h>
#include <torch/headeronly/util/Exception.h>
#include <cmath>
#include <cstdint>
#include <optional>

#include "cpu/ms_deform_attn_cpu.h"
#include <torch/csrc/stable/library.h>
#include <array>
#include <tuple>

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

namespace {

// The four pixels around a location, and how much of each a sample takes.
template <typename T>
struct Corners {
  int64_t pixels[4];
  T weights[4], dx[4], dy[4];

  Corners(T x, T y, int64_t height, int64_t width) {
    const int64_t left = static_cast<int64_t>(std::floor(x)), top = static_cast<int64_t>(std::floor(y));
    for (int i = 0; i < 4; ++i) {
      const int64_t column = left + i % 2, row = top + i / 2;
      const T wx = i % 2 ? x - left : 1 - (x - left), wy = i / 2 ? y - top : 1 - (y - top);
      const bool inside = column >= 0 && column < width && row >= 0 && row < height;
      pixels[i] = inside ? row * width + column : 0;
      weights[i] = inside ? wx * wy : T(0);
      dx[i] = inside ? (i % 2 ? wy : -wy) : T(0);
      dy[i] = inside ? (i / 2 ? wx : -wx) : T(0);
    }
  }
};

}  // namespace

torch::stable::Tensor ms_deform_attn_cpu_forward(
    const torch::stable::Tensor &value, const torch::stable::Tensor &spatial_shapes, const torch::stable::Tensor &level_start_index,
    const torch::stable::Tensor &sampling_loc, const torch::stable::Tensor &attn_weight, const int im2col_step) {
  STD_TORCH_CHECK(value.is_contiguous(), "value tensor has to be contiguous");
  STD_TORCH_CHECK(sampling_loc.is_contiguous(), "sampling_loc tensor has to be contiguous");
  STD_TORCH_CHECK(spatial_shapes.scalar_type() == torch::headeronly::ScalarType::Long, "spatial_shapes must be int64");

  const int batch = value.size(0), keys = value.size(1), heads = value.size(2), channels = value.size(3);
  const int levels = spatial_shapes.size(0), queries = sampling_loc.size(1), points = sampling_loc.size(4);
  auto output = torch::stable::new_zeros(value, {batch, queries, heads, channels});
  const auto weights = torch::stable::contiguous(attn_weight);

  THO_DISPATCH_V2(value.scalar_type(), "ms_deform_attn_cpu_forward", AT_WRAP(([&] {
    const scalar_t *data = value.const_data_ptr<scalar_t>();
    const scalar_t *locations = sampling_loc.const_data_ptr<scalar_t>();
    const scalar_t *weight = weights.const_data_ptr<scalar_t>();
    const int64_t *shapes = spatial_shapes.const_data_ptr<int64_t>();
    const int64_t *starts = level_start_index.const_data_ptr<int64_t>();
    scalar_t *out = output.mutable_data_ptr<scalar_t>();
    torch::stable::parallel_for(0, static_cast<int64_t>(batch) * queries * heads, 16, [&](int64_t begin, int64_t end) {
      for (int64_t item = begin; item < end; ++item) {
        const int64_t head = item % heads, sample = item / heads / queries;
        for (int level = 0; level < levels; ++level) {
          const int64_t height = shapes[2 * level], width = shapes[2 * level + 1];
          for (int point = 0; point < points; ++point) {
            const int64_t at = (item * levels + level) * points + point;
            const Corners<scalar_t> corners(
                locations[2 * at] * width - 0.5, locations[2 * at + 1] * height - 0.5, height, width);
            for (int i = 0; i < 4; ++i) {
              const int64_t key = sample * keys + starts[level] + corners.pixels[i];
              for (int channel = 0; channel < channels; ++channel)
                out[item * channels + channel] += weight[at] * corners.weights[i] *
                                                  data[(key * heads + head) * channels + channel];
            }
          }
        }
      }
    });
  })), AT_EXPAND(AT_FLOATING_TYPES));
  return torch::stable::view(output, {batch, queries, heads * channels});
}

std::vector<torch::stable::Tensor> ms_deform_attn_cpu_backward(
    const torch::stable::Tensor &value, const torch::stable::Tensor &spatial_shapes, const torch::stable::Tensor &level_start_index,
    const torch::stable::Tensor &sampling_loc, const torch::stable::Tensor &attn_weight, const torch::stable::Tensor &grad_output,
    const int im2col_step) {
  const int batch = value.size(0), keys = value.size(1), heads = value.size(2), channels = value.size(3);
  const int levels = spatial_shapes.size(0), queries = sampling_loc.size(1), points = sampling_loc.size(4);
  auto grad_value = ported_call("aten::zeros_like", "", value, std::nullopt, std::nullopt, std::nullopt, std::nullopt, std::nullopt);
  auto grad_loc = ported_call("aten::zeros_like", "", sampling_loc, std::nullopt, std::nullopt, std::nullopt, std::nullopt, std::nullopt);
  auto grad_weight = ported_call("aten::zeros_like", "", attn_weight, std::nullopt, std::nullopt, std::nullopt, std::nullopt, std::nullopt);
  const torch::stable::Tensor grad = torch::stable::contiguous(grad_output);

  THO_DISPATCH_V2(value.scalar_type(), "ms_deform_attn_cpu_backward", AT_WRAP(([&] {
    const auto data = value.mutable_data_ptr<scalar_t>(), locations = sampling_loc.mutable_data_ptr<scalar_t>();
    const auto weight = attn_weight.mutable_data_ptr<scalar_t>(), gradient = grad.mutable_data_ptr<scalar_t>();
    const auto shapes = spatial_shapes.mutable_data_ptr<int64_t>(), starts = level_start_index.mutable_data_ptr<int64_t>();
    auto value_gradient = grad_value.mutable_data_ptr<scalar_t>();
    auto loc_gradient = grad_loc.mutable_data_ptr<scalar_t>();
    auto weight_gradient = grad_weight.mutable_data_ptr<scalar_t>();
    for (int64_t item = 0; item < static_cast<int64_t>(batch) * queries * heads; ++item) {
      const int64_t head = item % heads, sample = item / heads / queries;
      for (int level = 0; level < levels; ++level) {
        const int64_t height = shapes[2 * level], width = shapes[2 * level + 1];
        for (int point = 0; point < points; ++point) {
          const int64_t at = (item * levels + level) * points + point;
          const Corners<scalar_t> corners(
              locations[2 * at] * width - 0.5, locations[2 * at + 1] * height - 0.5, height, width);
          for (int i = 0; i < 4; ++i) {
            const int64_t key = sample * keys + starts[level] + corners.pixels[i];
            for (int channel = 0; channel < channels; ++channel) {
              const int64_t place = (key * heads + head) * channels + channel;
              const scalar_t g = gradient[item * channels + channel];
              value_gradient[place] += g * weight[at] * corners.weights[i];
              weight_gradient[at] += g * corners.weights[i] * data[place];
              loc_gradient[2 * at] += g * weight[at] * corners.dx[i] * data[place] * width;
              loc_gradient[2 * at + 1] += g * weight[at] * corners.dy[i] * data[place] * height;
            }
          }
        }
      }
    }
  })), AT_EXPAND(AT_FLOATING_TYPES));
  return {grad_value, grad_loc, grad_weight};
}
