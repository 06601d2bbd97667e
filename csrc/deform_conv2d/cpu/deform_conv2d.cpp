// The host side of deform_conv2d on the CPU: checks, the choice of type, registration.
#include <type_traits>

#include "deform_conv2d/cpu/backward.h"
#include "deform_conv2d/cpu/forward.h"

namespace dcnbuild::cpu {
namespace {

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
  if (input.scalar_type() == ScalarType::Double) {
    forward<double>(g, t, bias, output);
  } else {
    forward<float>(g, t, bias, output);
  }
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
    if (input.scalar_type() == ScalarType::Double) {
      backward<double>(g, t, grad_output, grads);
    } else {
      backward<float>(g, t, grad_output, grads);
    }
  }
  return grads.outputs(grad_output, output_mask[4]);
}

}  // namespace
}  // namespace dcnbuild::cpu

DCNBUILD_LIBRARY_IMPL(dcnbuild, CPU, library) {
  library.impl("deform_conv2d", DCNBUILD_KERNEL(dcnbuild::cpu::deform_conv2d));
  library.impl("deform_conv2d_backward", DCNBUILD_KERNEL(dcnbuild::cpu::deform_conv2d_backward));
}
