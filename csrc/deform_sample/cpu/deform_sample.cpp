// The sampling of DCNv3 and DCNv4 on the CPU: attention's kernels over a sliding window.
#include "deform_attn/cpu/deform_attn.h"
#include "deform_sample/operands.h"

namespace dcnbuild::cpu {
namespace {

Tensor deform_sample(Tensor input, Tensor offset, Tensor mask, IntList kernel_size, IntList stride,
                     IntList padding, IntList dilation, double offset_scale, bool remove_center) {
  const SampleCall call("deform_sample", input, offset, mask,
                        {kernel_size, stride, padding, dilation, offset_scale, remove_center});
  const Tensor output = call.empty_output();
  attend_into(call.geometry(), call.operands(), with_joined_rows(output));
  return output;
}

std::tuple<Tensor, Tensor, Tensor> deform_sample_backward(
    Tensor grad_output, Tensor input, Tensor offset, Tensor mask, IntList kernel_size,
    IntList stride, IntList padding, IntList dilation, double offset_scale, bool remove_center,
    std::vector<bool> output_mask, bool /*deterministic: this backward pass always is*/) {
  const SampleCall call("deform_sample_backward", input, offset, mask,
                        {kernel_size, stride, padding, dilation, offset_scale, remove_center});
  const AttnOperands operands = call.operands();
  const Tensor upstream = call.upstream(grad_output);
  const AttnGradients grads(operands, output_mask);
  attend_gradients(call.geometry(), operands, upstream, grads);
  return call.outputs(grads);
}

}  // namespace
}  // namespace dcnbuild::cpu

DCNBUILD_LIBRARY_IMPL(dcnbuild, CPU, library) {
  library.impl("deform_sample", DCNBUILD_KERNEL(dcnbuild::cpu::deform_sample));
  library.impl("deform_sample_backward", DCNBUILD_KERNEL(dcnbuild::cpu::deform_sample_backward));
}
