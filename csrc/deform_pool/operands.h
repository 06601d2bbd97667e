// Turns tensors into the pooling kernels' arguments: checks that keep every kernel inside its
// memory, and the geometry. Users normally see Python's messages
// (dcnbuild/ops/deform_pool_arguments.py); these checks guard direct calls of the operators.
#pragma once

#include "common/tensors.h"
#include "deform_pool/geometry.h"

namespace dcnbuild {

/// The tensors of a pooling call.
struct PoolOperands {
  const char* name;  // of the operator
  const Tensor& input;
  const Tensor& rois;
  const std::optional<Tensor>& offset;
};

inline bool has_sizes(const Tensor& tensor, std::initializer_list<int64_t> expected) {
  if (tensor.dim() != static_cast<int64_t>(expected.size())) return false;
  int64_t dim = 0;
  for (const int64_t size : expected)
    if (tensor.size(dim++) != size) return false;
  return true;
}

/// Sets batch, channels, height, width, rois, out_channels and offset_classes from the tensors, and
/// checks everything.
inline void complete_geometry(const PoolOperands& t, PoolGeometry& g) {
  DCNBUILD_CHECK(t.input.dim() == 4 && t.rois.dim() == 2 && t.rois.size(1) == 5, t.name,
                 ": input must have 4 dimensions, rois 2 of which the second is 5");
  check_dtype(t.name, t.input);
  g.batch = t.input.size(0), g.channels = t.input.size(1), g.height = t.input.size(2),
  g.width = t.input.size(3), g.rois = t.rois.size(0);
  const int64_t limit = 1 << 15;
  DCNBUILD_CHECK(g.pooled_h > 0 && g.pooled_w > 0 && g.offset_cells_h > 0 && g.offset_cells_w > 0 &&
                     g.group_size > 0 && g.pooled_h <= limit && g.pooled_w <= limit &&
                     g.offset_cells_h <= limit && g.offset_cells_w <= limit &&
                     g.group_size <= limit && g.samples >= 0 && g.samples <= limit,
                 t.name, ": sizes must be from 1 to 32768, samples from 0");
  DCNBUILD_CHECK(g.spatial_scale > 0 && g.spatial_scale < 1e30 && g.offset_scale == g.offset_scale,
                 t.name, ": the spatial scale must be positive, the offsets' scale a number");
  check_range(t.name, "the number of input channels", g.channels, 1);
  g.out_channels = g.channels / (g.group_size * g.group_size);
  DCNBUILD_CHECK(g.out_channels * g.group_size * g.group_size == g.channels, t.name, ": ",
                 g.channels, " channels are no multiple of the group size ", g.group_size,
                 " squared");
  check_range(t.name, "the input's height", g.height, 0);
  check_range(t.name, "the input's width", g.width, 0);
  checked_product(t.name, "the input's elements", kElementLimit,
                  {g.batch, g.channels, g.height, g.width});
  checked_product(t.name, "the outputs of a RoI", kSideLimit,
                  {g.out_channels, g.pooled_h, g.pooled_w});
  checked_product(t.name, "the output's elements", kElementLimit,
                  {g.rois, g.out_channels, g.pooled_h, g.pooled_w});
  g.offset_classes = t.offset && t.offset->dim() == 4 ? t.offset->size(1) / 2 : 1;
  DCNBUILD_CHECK(g.offset_classes > 0 && g.out_channels % g.offset_classes == 0, t.name, ": ",
                 g.offset_classes, " classes of offsets do not divide the ", g.out_channels,
                 " output channels");
  checked_product(t.name, "the offsets", kElementLimit,
                  {g.rois, 2 * g.offset_classes, g.offset_cells_h, g.offset_cells_w});
  const ScalarType position = t.rois.scalar_type();
  DCNBUILD_CHECK((position == t.input.scalar_type() ||
                  (is_half(t.input.scalar_type()) && position == ScalarType::Float)) &&
                     same_device(t.rois, t.input),
                 t.name,
                 ": rois must be on the input's device and have its dtype, or float32 "
                 "for a half input");
  if (t.offset)
    DCNBUILD_CHECK(
        has_sizes(*t.offset, {g.rois, 2 * g.offset_classes, g.offset_cells_h, g.offset_cells_w}) &&
            t.offset->scalar_type() == position && same_device(*t.offset, t.input),
        t.name, ": the offsets must have sizes ", g.rois, ", ", 2 * g.offset_classes, ", ",
        g.offset_cells_h, ", ", g.offset_cells_w, ", and the dtype and device of rois");
}

inline PoolGeometry psroi_geometry(const PoolOperands& t, double spatial_scale, int64_t group_size,
                                   int64_t pooled_size, int64_t part_size, int64_t sample_per_part,
                                   double trans_std) {
  DCNBUILD_CHECK(sample_per_part > 0, t.name, ": sample_per_part must be positive");
  PoolGeometry g{};
  g.pooled_h = g.pooled_w = pooled_size;
  g.offset_cells_h = g.offset_cells_w = part_size;
  g.group_size = group_size, g.samples = sample_per_part;
  g.spatial_scale = spatial_scale, g.offset_scale = trans_std;
  g.position_sensitive = true;
  complete_geometry(t, g);
  return g;
}

inline PoolGeometry roi_geometry(const PoolOperands& t, const IntList& output_size,
                                 double spatial_scale, int64_t sampling_ratio, double gamma) {
  DCNBUILD_CHECK(output_size.size() == 2, t.name, ": output_size must have 2 elements");
  DCNBUILD_CHECK(!t.offset || (t.offset->dim() == 4 && t.offset->size(1) == 2), t.name,
                 ": offset must have 4 dimensions and 2 channels");
  PoolGeometry g{};
  g.pooled_h = g.offset_cells_h = output_size[0];
  g.pooled_w = g.offset_cells_w = output_size[1];
  g.group_size = 1, g.samples = sampling_ratio > 0 ? sampling_ratio : 0;
  g.spatial_scale = spatial_scale, g.offset_scale = gamma;
  complete_geometry(t, g);
  return g;
}

template <typename T>
RoiView<T> roi_view(const Tensor& rois) {
  return {static_cast<const T*>(rois.data_ptr()), rois.stride(0), rois.stride(1)};
}

inline Tensor empty_pooled(const PoolOperands& t, const PoolGeometry& g) {
  return empty_image(g.rois, g.out_channels, g.pooled_h, g.pooled_w, is_channels_last(t.input),
                     t.input.scalar_type(), t.input);
}

inline void check_grad_pooled(const PoolOperands& t, const PoolGeometry& g,
                              const Tensor& grad_output, const std::vector<bool>& output_mask) {
  DCNBUILD_CHECK(has_sizes(grad_output, {g.rois, g.out_channels, g.pooled_h, g.pooled_w}) &&
                     grad_output.scalar_type() == t.input.scalar_type() &&
                     same_device(grad_output, t.input),
                 t.name,
                 ": grad_output must have the sizes of the output, the dtype and device of "
                 "the input");
  DCNBUILD_CHECK(output_mask.size() == 2, t.name, ": output_mask must have 2 elements");
}

/// The requested gradients of a backward call. The gradient of the input is summed in `sums()`,
/// which begins with zeros.
struct PoolGradients {
  std::optional<Tensor> input, offset;

  PoolGradients(const PoolOperands& t, const std::vector<bool>& output_mask) {
    if (output_mask[0]) input.emplace(like(t.input, t.input.scalar_type()));
    if (output_mask[1] && t.offset)
      offset.emplace(
          empty({t.offset->size(0), t.offset->size(1), t.offset->size(2), t.offset->size(3)},
                t.offset->scalar_type(), *t.offset));
  }

  /// Zeros to which kernels add the input's gradient: its own memory, or a float32 tensor for half
  /// types.
  Tensor sums() const {
    Tensor result = is_half(input->scalar_type()) ? like(*input, ScalarType::Float) : *input;
    fill_zero(result);
    return result;
  }

  std::tuple<Tensor, Tensor> outputs(const Tensor& device_of) const {
    // Two outputs of an operator must not share memory, even if they have no elements.
    const auto none = [&] { return empty({0}, device_of.scalar_type(), device_of); };
    return {input ? *input : none(), offset ? *offset : none()};
  }

 private:
  static Tensor like(const Tensor& t, ScalarType dtype) {
    return empty_image(t.size(0), t.size(1), t.size(2), t.size(3), is_channels_last(t), dtype, t);
  }
};

}  // namespace dcnbuild
