// The torch side of deform_attn on the CPU: checks, the choice of type, registration.
#include "deform_attn/cpu/deform_attn.h"

#include "deform_attn/cpu/backward.h"
#include "deform_attn/cpu/forward.h"

namespace dcnbuild::cpu {

void attend_into(const AttnGeometry& g, const AttnOperands& t, const Tensor& output) {
  if (output.numel() == 0) return;
  if (t.value.scalar_type() == ScalarType::Double) {
    attend_forward<double>(g, t, output);
  } else {
    attend_forward<float>(g, t, output);
  }
}

void attend_gradients(const AttnGeometry& g, const AttnOperands& t, const Tensor& grad_output,
                      const AttnGradients& grads) {
  if (grad_output.numel() == 0) {
    grads.clear();
  } else if (grads.any()) {
    if (t.value.scalar_type() == ScalarType::Double) {
      attend_backward<double>(g, t, grad_output, grads);
    } else {
      attend_backward<float>(g, t, grad_output, grads);
    }
  }
}

namespace {

Tensor deform_attn(Tensor value, IntList spatial_shapes, Tensor sampling_locations,
                   Tensor attention_weights) {
  const AttnOperands t{"deform_attn", value, sampling_locations, attention_weights};
  const AttnGeometry g = make_attn_geometry(t, spatial_shapes);
  const Tensor output =
      empty({g.batch, g.queries, g.heads * g.channels}, value.scalar_type(), value);
  attend_into(g, t, output);
  return output;
}

std::tuple<Tensor, Tensor, Tensor> deform_attn_backward(
    Tensor grad_output, Tensor value, IntList spatial_shapes, Tensor sampling_locations,
    Tensor attention_weights, std::vector<bool> output_mask,
    bool /*deterministic: this backward pass always is*/) {
  const AttnOperands t{"deform_attn_backward", value, sampling_locations, attention_weights};
  const AttnGeometry g = make_attn_geometry(t, spatial_shapes);
  check_attn_grad_output(t, g, grad_output);
  const AttnGradients grads(t, output_mask);
  attend_gradients(g, t, grad_output, grads);
  return grads.outputs(grad_output);
}

}  // namespace
}  // namespace dcnbuild::cpu

DCNBUILD_LIBRARY_IMPL(dcnbuild, CPU, library) {
  library.impl("deform_attn", DCNBUILD_KERNEL(dcnbuild::cpu::deform_attn));
  library.impl("deform_attn_backward", DCNBUILD_KERNEL(dcnbuild::cpu::deform_attn_backward));
}
