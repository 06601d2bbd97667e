// The host side of deform_conv2d on the CPU: checks, the choice of type, registration.
#include "deform_conv2d/cpu/backward.h"
#include "deform_conv2d/cpu/forward.h"

namespace dcnbuild::cpu {
namespace {

/// Calls body with the unit that computes a dtype: half types in float where this CPU does not
/// multiply them as they are.
template <typename F>
void with_unit(const Geometry& g, ScalarType dtype, const F& body) {
  const KernelTable& table = selected_table();
  const MatrixKernels* matrix = dtype == ScalarType::BFloat16 ? table.bfloat16
                                : dtype == ScalarType::Half   ? table.half
                                                              : nullptr;
  if (dtype == ScalarType::Double) {
    body(VectorUnit<double>());
  } else if (matrix != nullptr && MatrixUnit::suits(g)) {
    body(MatrixUnit(*matrix, dtype));
  } else {
    body(VectorUnit<float>());
  }
}

Tensor deform_conv2d(Tensor input, Tensor offset, std::optional<Tensor> mask, Tensor weight,
                     std::optional<Tensor> bias, IntList stride, IntList padding, IntList dilation,
                     int64_t groups, int64_t offset_groups) {
  const Operands t{"deform_conv2d", input, offset, mask, weight};
  const Geometry g = make_geometry(t, stride, padding, dilation, groups, offset_groups);
  check_dtype(t.name, input);
  check_bias(bias, t, g);
  const Tensor output = empty_image(g.batch, g.out_channels, g.out_height, g.out_width,
                                    is_channels_last(input), input.scalar_type(), input);
  if (output.numel() == 0) return output;
  with_unit(g, input.scalar_type(), [&](const auto& unit) { forward(unit, g, t, bias, output); });
  return output;
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> deform_conv2d_backward(
    Tensor grad_output, Tensor input, Tensor offset, std::optional<Tensor> mask, Tensor weight,
    IntList stride, IntList padding, IntList dilation, int64_t groups, int64_t offset_groups,
    std::vector<bool> output_mask,
    bool /*deterministic: this backward pass always is, for a given number of threads*/) {
  const Operands t{"deform_conv2d_backward", input, offset, mask, weight};
  const Geometry g = make_geometry(t, stride, padding, dilation, groups, offset_groups);
  check_dtype(t.name, input);
  check_grad_output(grad_output, t, g);
  Gradients grads(t, output_mask);
  if (grad_output.numel() == 0) {
    grads.clear();
  } else if (grads.input || grads.offset || grads.mask || grads.weight) {
    with_unit(g, input.scalar_type(),
              [&](const auto& unit) { backward(unit, g, t, grad_output, grads); });
  }
  return grads.outputs(grad_output, output_mask[4]);
}

}  // namespace
}  // namespace dcnbuild::cpu

DCNBUILD_LIBRARY_IMPL(dcnbuild, CPU, library) {
  library.impl("deform_conv2d", DCNBUILD_KERNEL(dcnbuild::cpu::deform_conv2d));
  library.impl("deform_conv2d_backward", DCNBUILD_KERNEL(dcnbuild::cpu::deform_conv2d_backward));
}
