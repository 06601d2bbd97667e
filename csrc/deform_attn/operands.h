// From deform_attn's tensors to what its kernels take: checks that keep every kernel inside its
// memory, the geometry, views, and the gradients. The messages that users normally meet are
// Python's; these guard direct calls of the operators.
#pragma once

#include "common/tensors.h"
#include "deform_attn/geometry.h"

namespace dcnbuild {

/// The tensors of a forward or backward call, and the operator's name for messages.
struct AttnOperands {
  const char* name;
  const Tensor& value;
  const Tensor& locations;
  const Tensor& weights;
};

/// The levels that `spatial_shapes` lists, one after the other. Returns their pixels.
inline int64_t set_levels(const char* name, const IntList& spatial_shapes, AttnGeometry& g) {
  const int64_t count = static_cast<int64_t>(spatial_shapes.size());
  DCNBUILD_CHECK(count % 2 == 0 && count >= 2 && count <= 2 * kMaxLevels, name,
                 ": spatial_shapes has ", count, " numbers, expected height and width of 1 to ",
                 kMaxLevels, " levels");
  g.levels = count / 2;
  int64_t pixels = 0;
  for (int64_t i = 0; i < g.levels; ++i) {
    const int64_t height = spatial_shapes[2 * i], width = spatial_shapes[2 * i + 1];
    check_range(name, "a level's height", height, 0);
    check_range(name, "a level's width", width, 0);
    g.level[i] = {height, width, pixels};
    pixels += checked_product(name, "a level's pixels", kSideLimit, {height, width});
  }
  return pixels;
}

/// What attention and the sampling of a window check alike: that every product of two numbers fits,
/// and that dtypes and devices go together.
inline void check_attn_operands(const AttnOperands& t, const AttnGeometry& g) {
  check_range(t.name, "the number of heads", g.heads, 1);
  check_range(t.name, "the number of channels of a head", g.channels, 1);
  check_range(t.name, "the number of points", g.points, 1);
  check_range(t.name, "the number of samples of a query and head", g.samples(), 1);
  checked_product(t.name, "value's pixels times heads", (int64_t(1) << 31) - 1,
                  {g.pixels, g.heads});
  checked_product(t.name, "value's elements", kElementLimit,
                  {g.batch, g.pixels, g.heads, g.channels});
  checked_product(t.name, "the channels of all heads", kSideLimit, {g.heads, g.channels});
  checked_product(t.name, "the output's elements", kElementLimit,
                  {g.batch, g.queries, g.heads, g.channels});
  checked_product(t.name, "the samples of a query", kSideLimit, {g.heads, g.levels, g.points});
  checked_product(t.name, "the sampling locations", kElementLimit,
                  {g.batch, g.queries, g.heads, g.levels, g.points, 2});
  check_dtype(t.name, t.value, "value");
  const ScalarType location_type = t.locations.scalar_type();
  DCNBUILD_CHECK(
      location_type == t.value.scalar_type() ||
          (is_half(t.value.scalar_type()) && location_type == ScalarType::Float),
      t.name,
      ": locations (offsets) must have the dtype of value (the input), or float32 beside a "
      "half type");
  DCNBUILD_CHECK(t.weights.scalar_type() == location_type && same_device(t.locations, t.value) &&
                     same_device(t.weights, t.value),
                 t.name,
                 ": locations (offsets) and weights (the mask) must have one dtype and be on the "
                 "device of what is sampled");
}

/// Checks every number before it is multiplied by another.
inline AttnGeometry make_attn_geometry(const AttnOperands& t, const IntList& spatial_shapes) {
  DCNBUILD_CHECK(t.value.dim() == 4 && t.locations.dim() == 6 && t.weights.dim() == 5, t.name,
                 ": value, sampling_locations and attention_weights must have 4, 6 and 5 "
                 "dimensions, got ",
                 t.value.dim(), ", ", t.locations.dim(), " and ", t.weights.dim());
  AttnGeometry g{};
  g.batch = t.value.size(0), g.pixels = t.value.size(1), g.heads = t.value.size(2),
  g.channels = t.value.size(3);
  g.queries = t.locations.size(1), g.points = t.locations.size(4);
  const int64_t pixels = set_levels(t.name, spatial_shapes, g);
  DCNBUILD_CHECK(pixels == g.pixels, t.name, ": value has ", g.pixels,
                 " pixels (dimension 1), expected ", pixels, ", the sum over spatial_shapes");
  check_attn_operands(t, g);
  check_sizes(t.name, "sampling_locations", t.locations,
              {g.batch, g.queries, g.heads, g.levels, g.points, 2});
  check_sizes(t.name, "attention_weights", t.weights,
              {g.batch, g.queries, g.heads, g.levels, g.points});
  return g;
}

inline void check_attn_grad_output(const AttnOperands& t, const AttnGeometry& g,
                                   const Tensor& grad_output) {
  check_sizes(t.name, "grad_output", grad_output, {g.batch, g.queries, g.heads * g.channels});
  DCNBUILD_CHECK(
      grad_output.scalar_type() == t.value.scalar_type() && same_device(grad_output, t.value),
      t.name, ": grad_output must have the dtype and device of value");
}

template <typename T>
ValueView<T> value_view(const Tensor& t) {
  return {static_cast<T*>(t.data_ptr()), t.stride(0), t.stride(1), t.stride(2), t.stride(3)};
}

/// Of locations, or of weights.
template <typename T>
PointView<T> point_view(const Tensor& t) {
  return {static_cast<T*>(t.data_ptr()),
          t.stride(0),
          t.stride(1),
          t.stride(2),
          t.stride(3),
          t.stride(4),
          t.dim() == 6 ? t.stride(5) : 0};
}

/// The gradients that a backward call was asked for, contiguous and uninitialised.
struct AttnGradients {
  std::optional<Tensor> value, locations, weights;

  AttnGradients(const AttnOperands& t, const std::vector<bool>& output_mask) {
    DCNBUILD_CHECK(output_mask.size() == 3, t.name, ": output_mask must have 3 elements");
    if (output_mask[0]) value.emplace(like(t.value));
    if (output_mask[1]) locations.emplace(like(t.locations));
    if (output_mask[2]) weights.emplace(like(t.weights));
  }

  bool any() const { return value || locations || weights; }

  /// Makes all of them zero: those of an output without elements.
  void clear() const {
    for (const std::optional<Tensor>* grad : {&value, &locations, &weights})
      if (*grad) fill_zero(**grad);
  }

  /// What the operator returns: an empty tensor for each that was not asked for (one of its own
  /// each: the outputs of an operator must not alias).
  std::tuple<Tensor, Tensor, Tensor> outputs(const Tensor& device_of) const {
    const auto or_none = [&](const std::optional<Tensor>& grad) {
      return grad ? *grad : empty({0}, device_of.scalar_type(), device_of);
    };
    return {or_none(value), or_none(locations), or_none(weights)};
  }

 private:
  static Tensor like(const Tensor& t) {
    IntList sizes;
    for (int64_t dim = 0; dim < t.dim(); ++dim) sizes.push_back(t.size(dim));
    return empty(sizes, t.scalar_type(), t);
  }
};

}  // namespace dcnbuild
