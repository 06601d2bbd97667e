#include <vector>

#include <ATen/ATen.h>

#include "cpu/ms_deform_attn_cpu.h"

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

at::Tensor ms_deform_attn_cpu_forward(
    const at::Tensor &value, const at::Tensor &spatial_shapes, const at::Tensor &level_start_index,
    const at::Tensor &sampling_loc, const at::Tensor &attn_weight, const int im2col_step) {
  AT_ASSERTM(value.is_contiguous(), "value tensor has to be contiguous");
  AT_ASSERTM(sampling_loc.is_contiguous(), "sampling_loc tensor has to be contiguous");
  AT_ASSERTM(spatial_shapes.type().scalarType() == at::kLong, "spatial_shapes must be int64");

  const int batch = value.size(0), keys = value.size(1), heads = value.size(2), channels = value.size(3);
  const int levels = spatial_shapes.size(0), queries = sampling_loc.size(1), points = sampling_loc.size(4);
  auto output = at::zeros({batch, queries, heads, channels}, value.options());
  const auto weights = attn_weight.contiguous();

  AT_DISPATCH_FLOATING_TYPES(value.type(), "ms_deform_attn_cpu_forward", ([&] {
    const scalar_t *data = value.data<scalar_t>();
    const scalar_t *locations = sampling_loc.data<scalar_t>();
    const scalar_t *weight = weights.data<scalar_t>();
    const int64_t *shapes = spatial_shapes.data<int64_t>();
    const int64_t *starts = level_start_index.data<int64_t>();
    scalar_t *out = output.data<scalar_t>();
    at::parallel_for(0, static_cast<int64_t>(batch) * queries * heads, 16, [&](int64_t begin, int64_t end) {
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
  }));
  return output.view({batch, queries, heads * channels});
}

std::vector<at::Tensor> ms_deform_attn_cpu_backward(
    const at::Tensor &value, const at::Tensor &spatial_shapes, const at::Tensor &level_start_index,
    const at::Tensor &sampling_loc, const at::Tensor &attn_weight, const at::Tensor &grad_output,
    const int im2col_step) {
  const int batch = value.size(0), keys = value.size(1), heads = value.size(2), channels = value.size(3);
  const int levels = spatial_shapes.size(0), queries = sampling_loc.size(1), points = sampling_loc.size(4);
  auto grad_value = at::zeros_like(value);
  auto grad_loc = at::zeros_like(sampling_loc);
  auto grad_weight = at::zeros_like(attn_weight);
  const at::Tensor grad = grad_output.contiguous();

  AT_DISPATCH_FLOATING_TYPES(value.type(), "ms_deform_attn_cpu_backward", ([&] {
    const auto data = value.data<scalar_t>(), locations = sampling_loc.data<scalar_t>();
    const auto weight = attn_weight.data<scalar_t>(), gradient = grad.data<scalar_t>();
    const auto shapes = spatial_shapes.data<int64_t>(), starts = level_start_index.data<int64_t>();
    auto value_gradient = grad_value.data<scalar_t>();
    auto loc_gradient = grad_loc.data<scalar_t>();
    auto weight_gradient = grad_weight.data<scalar_t>();
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
  }));
  return {grad_value, grad_loc, grad_weight};
}
