// Turns a call of deform_sample into a call of attention over one level: its queries are the places
// of a window that slides over the image, and its points are the window's taps. deform_attn's
// kernels compute it. Users normally see Python's messages; these checks guard direct calls.
#pragma once

#include "deform_attn/operands.h"

namespace dcnbuild {

/// The operator's arguments that are not tensors; pairs are (y, x).
struct SampleAttributes {
  IntList kernel_size, stride, padding, dilation;
  double offset_scale;
  bool remove_center;
};

/// One side of the window, and the number of its places.
struct WindowSide {
  Window::Side side;
  int64_t places;
};

inline WindowSide window_side(const char* name, const SampleAttributes& a, int axis, int64_t size) {
  const int64_t kernel = a.kernel_size[axis], stride = a.stride[axis], padding = a.padding[axis],
                dilation = a.dilation[axis];
  check_range(name, "the input's size", size, 0);
  check_range(name, "kernel_size", kernel, 1);
  check_range(name, "stride", stride, 1);
  check_range(name, "padding", padding, 0);
  check_range(name, "dilation", dilation, 1);
  const int64_t padded = size + 2 * padding, reach = dilation * (kernel - 1) + 1;
  DCNBUILD_CHECK(padded < kPaddedLimit && padded >= reach, name, ": the kernel reaches over ",
                 reach, " pixels of the padded input's ", padded,
                 ", expected at most those, below 2^31 - 2^16");
  const int64_t middle = (reach - 1) / 2;
  const auto narrow = [](int64_t value) { return static_cast<int32_t>(value); };
  return {
      {narrow(kernel), narrow(stride), narrow(dilation), narrow(middle - padding), narrow(middle)},
      (padded - reach) / stride + 1};
}

/// Joins dimensions 1 and 2: in the same memory if the strides allow it, else in a copy.
inline Tensor with_joined_rows(const Tensor& t) {
  IntList sizes{t.size(0), t.size(1) * t.size(2)};
  for (int64_t dim = 3; dim < t.dim(); ++dim) sizes.push_back(t.size(dim));
  const bool joined =
      t.numel() == 0 || t.size(1) == 1 || t.size(2) == 1 || t.stride(1) == t.size(2) * t.stride(2);
  return viewed(joined ? t : as_contiguous(t), sizes);
}

/// A call of deform_sample as a call of attention.
class SampleCall {
 public:
  SampleCall(const char* name, const Tensor& input, const Tensor& offset, const Tensor& mask,
             const SampleAttributes& a)
      : name_(name), geometry_(make_geometry(name, input, offset, mask, a)) {
    value_.emplace(with_joined_rows(input));
    const Tensor offsets = with_joined_rows(offset), masks = with_joined_rows(mask);
    const AttnGeometry& g = geometry_;
    locations_.emplace(viewed(offsets, {g.batch, g.queries, g.heads, 1, g.points, 2}));
    weights_.emplace(viewed(masks, {g.batch, g.queries, g.heads, 1, g.points}));
  }

  const AttnGeometry& geometry() const { return geometry_; }
  AttnOperands operands() const { return {name_, *value_, *locations_, *weights_}; }

  /// An uninitialised output [N, H', W', G * D].
  Tensor empty_output() const {
    const AttnGeometry& g = geometry_;
    return empty({g.batch, places_y_, g.window.out_width, g.heads * g.channels},
                 value_->scalar_type(), *value_);
  }

  /// The gradient of the output as [N, Q, G * D].
  Tensor upstream(const Tensor& grad_output) const {
    const AttnGeometry& g = geometry_;
    check_sizes(name_, "grad_output", grad_output,
                {g.batch, places_y_, g.window.out_width, g.heads * g.channels});
    const Tensor joined = with_joined_rows(grad_output);
    check_attn_grad_output(operands(), g, joined);
    return joined;
  }

  /// Attention's gradients in the shapes of input, offset and mask; those that were not requested
  /// have no elements.
  std::tuple<Tensor, Tensor, Tensor> outputs(const AttnGradients& grads) const {
    const AttnGeometry& g = geometry_;
    const auto shaped = [&](const std::optional<Tensor>& grad, const IntList& sizes) {
      return grad ? viewed(*grad, sizes) : empty({0}, value_->scalar_type(), *value_);
    };
    const int64_t width = g.window.out_width;
    return {
        shaped(grads.value, {g.batch, g.level[0].height, g.level[0].width, g.heads, g.channels}),
        shaped(grads.locations, {g.batch, places_y_, width, g.heads, g.points, 2}),
        shaped(grads.weights, {g.batch, places_y_, width, g.heads, g.points})};
  }

 private:
  AttnGeometry make_geometry(const char* name, const Tensor& input, const Tensor& offset,
                             const Tensor& mask, const SampleAttributes& a) {
    DCNBUILD_CHECK(input.dim() == 5 && offset.dim() == 6 && mask.dim() == 5, name,
                   ": input, offset and mask must have 5, 6 and 5 dimensions, got ", input.dim(),
                   ", ", offset.dim(), " and ", mask.dim());
    DCNBUILD_CHECK(a.kernel_size.size() == 2 && a.stride.size() == 2 && a.padding.size() == 2 &&
                       a.dilation.size() == 2,
                   name, ": kernel_size, stride, padding and dilation must have 2 elements");
    const WindowSide y = window_side(name, a, 0, input.size(1)),
                     x = window_side(name, a, 1, input.size(2));
    const int64_t taps =
        checked_product(name, "the kernel's taps", kSideLimit, {y.side.kernel, x.side.kernel});
    DCNBUILD_CHECK(
        !a.remove_center || (taps > 1 && y.side.kernel % 2 == 1 && x.side.kernel % 2 == 1), name,
        ": remove_center needs a kernel with odd sides and more than one tap, got ", y.side.kernel,
        "x", x.side.kernel);
    checked_product(name, "the output's positions", kSideLimit, {y.places, x.places});
    AttnGeometry g{};
    g.batch = input.size(0), g.heads = input.size(3), g.channels = input.size(4);
    g.pixels =
        checked_product(name, "the input's pixels", kSideLimit, {input.size(1), input.size(2)});
    g.queries = y.places * x.places, g.levels = 1, g.points = taps - (a.remove_center ? 1 : 0);
    g.level[0] = {input.size(1), input.size(2), 0};
    g.window.y = y.side, g.window.x = x.side;
    g.window.out_width = static_cast<int32_t>(x.places);
    g.window.removed = static_cast<int32_t>(a.remove_center ? taps / 2 : taps);
    g.window.scale = a.offset_scale;
    places_y_ = y.places;
    check_sizes(name, "offset", offset, {g.batch, y.places, x.places, g.heads, g.points, 2});
    check_sizes(name, "mask", mask, {g.batch, y.places, x.places, g.heads, g.points});
    check_attn_operands({name, input, offset, mask}, g);
    return g;
  }

  const char* name_;
  int64_t places_y_ = 0;  // declared before the geometry, whose initialisation sets it
  AttnGeometry geometry_;
  std::optional<Tensor> value_, locations_, weights_;
};

}  // namespace dcnbuild
