// The sampling of DCNv3 and DCNv4 on the CPU: attention's kernels over a sliding window.
#include "deform_attn/cpu/deform_attn.h"
#include "deform_sample/operator.h"

namespace dcnbuild::cpu {
namespace {

struct SampledAttention {
  static void forward(const AttnGeometry& g, const AttnOperands& t, const Tensor& output) {
    attend_into(g, t, output);
  }
  static void backward(const AttnGeometry& g, const AttnOperands& t, const Tensor& grad_output,
                       const AttnGradients& grads,
                       bool /*deterministic: this backward pass always is*/) {
    attend_gradients(g, t, grad_output, grads);
  }
};

using SampleOperator = DeformSample<SampledAttention>;

}  // namespace
}  // namespace dcnbuild::cpu

DCNBUILD_LIBRARY_IMPL(dcnbuild, CPU, library) {
  library.impl("deform_sample", DCNBUILD_KERNEL(dcnbuild::cpu::SampleOperator::forward));
  library.impl("deform_sample_backward", DCNBUILD_KERNEL(dcnbuild::cpu::SampleOperator::backward));
}
