// The sampling of DCNv3 and DCNv4 on CUDA: attention's kernels over a sliding window.
#include "deform_attn/cuda/deform_attn.h"
#include "deform_sample/operator.h"

namespace dcnbuild::cuda {

struct SampledAttention {
  static void forward(const AttnGeometry& g, const AttnOperands& t, const Tensor& output) {
    attend_into(g, t, output);
  }
  static void backward(const AttnGeometry& g, const AttnOperands& t, const Tensor& grad_output,
                       const AttnGradients& grads, bool deterministic) {
    attend_gradients(g, t, grad_output, grads, deterministic);
  }
};

using SampleOperator = DeformSample<SampledAttention>;

}  // namespace dcnbuild::cuda

DCNBUILD_CUDA_LIBRARY_IMPL(library) {
  library.impl("deform_sample", DCNBUILD_KERNEL(dcnbuild::cuda::SampleOperator::forward));
  library.impl("deform_sample_backward", DCNBUILD_KERNEL(dcnbuild::cuda::SampleOperator::backward));
}
