// Turns deform_conv2d's tensors into its kernels' arguments: checks that keep every kernel inside
// its memory, the geometry, and matrices.
#pragma once

#include "common/tensors.h"
#include "deform_conv2d/geometry.h"

namespace dcnbuild {

/// The tensors of a forward or backward call, and the operator's name for messages.
struct Operands {
  const char* name;
  const Tensor& input;
  const Tensor& offset;
  const std::optional<Tensor>& mask;
  const Tensor& weight;
};

/// Checks every number before it multiplies it by another.
inline Geometry make_geometry(const Operands& t, const IntList& stride, const IntList& padding,
                              const IntList& dilation, int64_t groups, int64_t offset_groups) {
  DCNBUILD_CHECK(t.input.dim() == 4 && t.weight.dim() == 4, t.name,
                 ": input and weight must have 4 dimensions, got ", t.input.dim(), " and ",
                 t.weight.dim());
  DCNBUILD_CHECK(stride.size() == 2 && padding.size() == 2 && dilation.size() == 2, t.name,
                 ": stride, padding and dilation must have 2 elements");
  Geometry g{};
  g.batch = t.input.size(0), g.channels = t.input.size(1), g.height = t.input.size(2),
  g.width = t.input.size(3);
  g.out_channels = t.weight.size(0), g.kernel_h = t.weight.size(2), g.kernel_w = t.weight.size(3);
  g.stride_h = stride[0], g.stride_w = stride[1];
  g.padding_h = padding[0], g.padding_w = padding[1];
  g.dilation_h = dilation[0], g.dilation_w = dilation[1];
  g.groups = groups, g.offset_groups = offset_groups;
  check_range(t.name, "the number of input channels", g.channels, 1);
  check_range(t.name, "the input's height", g.height, 0);
  check_range(t.name, "the input's width", g.width, 0);
  check_range(t.name, "the number of output channels", g.out_channels, 0);
  check_range(t.name, "the kernel's height", g.kernel_h, 1);
  check_range(t.name, "the kernel's width", g.kernel_w, 1);
  for (const int64_t value : stride) check_range(t.name, "stride", value, 1);
  for (const int64_t value : padding) check_range(t.name, "padding", value, 0);
  for (const int64_t value : dilation) check_range(t.name, "dilation", value, 1);
  check_range(t.name, "groups", groups, 1);
  check_range(t.name, "offset_groups", offset_groups, 1);
  DCNBUILD_CHECK(
      g.channels % groups == 0 && g.out_channels % groups == 0 && g.channels % offset_groups == 0,
      t.name, ": groups ", groups, " and offset groups ", offset_groups, " must divide the ",
      g.channels, " input channels, groups the ", g.out_channels, " output channels");
  checked_product(t.name, "the kernel's taps", kSideLimit, {g.kernel_h, g.kernel_w});
  checked_product(t.name, "the input's pixels times offset groups", (int64_t(1) << 31) - 1,
                  {g.height, g.width, offset_groups});
  checked_product(t.name, "the input's elements", kElementLimit,
                  {g.batch, g.channels, g.height, g.width});
  checked_product(t.name, "the weight's elements", kElementLimit,
                  {g.out_channels, g.channels, g.taps()});
  const int64_t padded_h = g.height + 2 * g.padding_h, padded_w = g.width + 2 * g.padding_w;
  DCNBUILD_CHECK(padded_h < kPaddedLimit && padded_w < kPaddedLimit, t.name,
                 ": the padded input has ", padded_h, "x", padded_w,
                 " pixels, expected sides below 2^31 - 2^16");
  const int64_t reach_h = g.dilation_h * (g.kernel_h - 1) + 1,
                reach_w = g.dilation_w * (g.kernel_w - 1) + 1;
  DCNBUILD_CHECK(padded_h >= reach_h && padded_w >= reach_w, t.name, ": the kernel reaches over ",
                 reach_h, "x", reach_w, " pixels, more than the padded input's ", padded_h, "x",
                 padded_w);
  g.out_height = (padded_h - reach_h) / g.stride_h + 1;
  g.out_width = (padded_w - reach_w) / g.stride_w + 1;
  checked_product(t.name, "the output's elements", kElementLimit,
                  {g.batch, g.out_channels, g.out_height, g.out_width});
  checked_product(t.name, "the offset's elements", kElementLimit,
                  {g.batch, 2 * offset_groups * g.taps(), g.out_height, g.out_width});
  check_sizes(t.name, "weight", t.weight,
              {g.out_channels, g.channels_per_group(), g.kernel_h, g.kernel_w});
  check_sizes(t.name, "offset", t.offset,
              {g.batch, 2 * offset_groups * g.taps(), g.out_height, g.out_width});
  DCNBUILD_CHECK(t.weight.scalar_type() == t.input.scalar_type() &&
                     same_device(t.weight, t.input) && same_device(t.offset, t.input),
                 t.name,
                 ": input, offset and weight must be on one device, input and weight of one dtype");
  const ScalarType offset_type = t.offset.scalar_type();
  DCNBUILD_CHECK(offset_type == t.input.scalar_type() ||
                     (is_half(t.input.scalar_type()) && offset_type == ScalarType::Float),
                 t.name, ": offset must have the input's dtype, or float32 for a half input");
  if (t.mask) {
    check_sizes(t.name, "mask", *t.mask,
                {g.batch, offset_groups * g.taps(), g.out_height, g.out_width});
    DCNBUILD_CHECK(t.mask->scalar_type() == offset_type && same_device(*t.mask, t.input), t.name,
                   ": mask must have the dtype and device of offset");
  }
  return g;
}

inline void check_bias(const std::optional<Tensor>& bias, const Operands& t, const Geometry& g) {
  if (!bias) return;
  check_sizes(t.name, "bias", *bias, {g.out_channels});
  DCNBUILD_CHECK(bias->scalar_type() == t.input.scalar_type() && same_device(*bias, t.input),
                 t.name, ": bias must have the dtype and device of input");
}

inline void check_grad_output(const Tensor& grad_output, const Operands& t, const Geometry& g) {
  check_sizes(t.name, "grad_output", grad_output,
              {g.batch, g.out_channels, g.out_height, g.out_width});
  DCNBUILD_CHECK(
      grad_output.scalar_type() == t.input.scalar_type() && same_device(grad_output, t.input),
      t.name, ": grad_output must have the dtype and device of input");
}

/// The gradient of the bias: [n, o, h, w] summed to [o], half types in float32.
inline Tensor sum_over_positions(const Tensor& grad_output) {
  const ScalarType dtype = grad_output.scalar_type();
  return cast(sum_over(grad_output, {0, 2, 3}, is_half(dtype) ? ScalarType::Float : dtype), dtype);
}

/// The requested gradients of a backward call: of input, offset, mask and weight.
struct Gradients {
  std::optional<Tensor> input, offset, mask, weight;

  Gradients(const Operands& t, const std::vector<bool>& output_mask) {
    DCNBUILD_CHECK(output_mask.size() == 5, t.name, ": output_mask must have 5 elements");
    if (output_mask[0]) input.emplace(like(t.input));
    if (output_mask[1]) offset.emplace(like(t.offset));
    if (output_mask[2] && t.mask) mask.emplace(like(*t.mask));
    if (output_mask[3])
      weight.emplace(zeros({t.weight.size(0), t.weight.size(1), t.weight.size(2), t.weight.size(3)},
                           t.weight.scalar_type(), t.weight));
  }

  /// Sets all of them to zero, for an output without elements.
  void clear() const {
    for (const std::optional<Tensor>* grad : {&input, &offset, &mask, &weight})
      if (*grad) fill_zero(**grad);
  }

  /// The operator's results: these, the gradient of the bias, and an empty tensor for each gradient
  /// that was not requested (a new one for each, since outputs of an operator must not alias).
  std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> outputs(const Tensor& grad_output,
                                                             bool with_bias) const {
    const auto or_none = [&](const std::optional<Tensor>& grad) {
      return grad ? *grad : empty({0}, grad_output.scalar_type(), grad_output);
    };
    std::optional<Tensor> bias;
    if (with_bias) bias = sum_over_positions(grad_output);
    return {or_none(input), or_none(offset), or_none(mask), or_none(weight), or_none(bias)};
  }

 private:
  static Tensor like(const Tensor& t) {
    return empty_image(t.size(0), t.size(1), t.size(2), t.size(3), is_channels_last(t),
                       t.scalar_type(), t);
  }
};

/// The columns of one group in [group][position][tap][channel of the group], as a matrix with a row
/// for each position.
template <typename U>
Matrix<U> column_block(const Geometry& g, U* columns, int64_t count, int64_t group) {
  const int64_t size = g.taps() * g.channels_per_group();
  return {columns + group * count * size, count, size, size, 1};
}

/// The weight as [tap][channel of the group][out channel]; each group's matrix is a block of its
/// columns.
inline Tensor weight_matrix(const Tensor& weight, ScalarType dtype) {
  return as_contiguous(permuted(cast(weight, dtype), {2, 3, 1, 0}));
}

template <typename U>
Matrix<U> weight_block(const Geometry& g, U* weights, int64_t group) {
  return {weights + group * g.out_channels_per_group(), g.taps() * g.channels_per_group(),
          g.out_channels_per_group(), g.out_channels, 1};
}

}  // namespace dcnbuild
