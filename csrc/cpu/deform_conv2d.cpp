// The torch side of deform_conv2d on the CPU: checks, the choice of type, registration.
#include <type_traits>

#include "backward.h"
#include "forward.h"

namespace dcnbuild::cpu {
namespace {

void check_dtype(const Tensor& input) {
  const ScalarType dtype = input.scalar_type();
  DCNBUILD_CHECK(dtype == ScalarType::Double || dtype == ScalarType::Float || is_half(dtype),
                 "deform_conv2d: input must be float64, float32, float16 or bfloat16");
}

Tensor deform_conv2d(Tensor input, Tensor offset, std::optional<Tensor> mask, Tensor weight,
                     std::optional<Tensor> bias, IntList stride, IntList padding, IntList dilation,
                     int64_t groups, int64_t offset_groups) {
  const Operands t{input, offset, mask, weight};
  const Geometry g = make_geometry(t, stride, padding, dilation, groups, offset_groups);
  check_dtype(input);
  check_bias(bias, input, g);
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
  const Operands t{input, offset, mask, weight};
  const Geometry g = make_geometry(t, stride, padding, dilation, groups, offset_groups);
  check_dtype(input);
  check_grad_output(grad_output, input, g);
  Gradients grads(t, output_mask);
  if (g.batch > 0 && (grads.input || grads.offset || grads.mask || grads.weight)) {
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
