// The kernels of deform_attn on CUDA as operators call them: deform_attn and deform_sample.
#pragma once

#include "deform_attn/operands.h"

namespace dcnbuild::cuda {

/// Writes the output, a contiguous [N, Q, M * D].
void attend_into(const AttnGeometry& g, const AttnOperands& t, const Tensor& output);

/// Writes the gradients that `grads` has, from that of the output, which may have any strides.
void attend_gradients(const AttnGeometry& g, const AttnOperands& t, const Tensor& grad_output,
                      const AttnGradients& grads, bool deterministic);

}  // namespace dcnbuild::cuda
