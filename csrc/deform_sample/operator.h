// The operators deform_sample and deform_sample_backward, for any device on which deform_attn has
// kernels.
#pragma once

#include "deform_sample/operands.h"

namespace dcnbuild {

/// `Attention` has deform_attn's kernels on a device: `forward` writes an output, `backward` the
/// gradients.
template <typename Attention>
struct DeformSample {
  static Tensor forward(Tensor input, Tensor offset, Tensor mask, IntList kernel_size,
                        IntList stride, IntList padding, IntList dilation, double offset_scale,
                        bool remove_center) {
    const SampleCall call("deform_sample", input, offset, mask,
                          {kernel_size, stride, padding, dilation, offset_scale, remove_center});
    const Tensor output = call.empty_output();
    Attention::forward(call.geometry(), call.operands(), with_joined_rows(output));
    return output;
  }

  static std::tuple<Tensor, Tensor, Tensor> backward(
      Tensor grad_output, Tensor input, Tensor offset, Tensor mask, IntList kernel_size,
      IntList stride, IntList padding, IntList dilation, double offset_scale, bool remove_center,
      std::vector<bool> output_mask, bool deterministic) {
    const SampleCall call("deform_sample_backward", input, offset, mask,
                          {kernel_size, stride, padding, dilation, offset_scale, remove_center});
    const AttnOperands operands = call.operands();
    const Tensor upstream = call.upstream(grad_output);
    const AttnGradients grads(operands, output_mask);
    Attention::backward(call.geometry(), operands, upstream, grads, deterministic);
    return call.outputs(grads);
  }
};

}  // namespace dcnbuild
