// The whole CUDA half, kernels and torch side, as torch.ops.dcnbuild_emulated on CPU tensors.
#include "deform_attn/cuda/deform_attn.cu"
#include "deform_conv2d/cuda/deform_conv2d.cu"
#include "deform_pool/cuda/deform_pool.cu"
#include "deform_sample/cuda/deform_sample.cu"
#include "schema.h"

DCNBUILD_LIBRARY(DCNBUILD_TEST_NAMESPACE, library) {
  for (const char* schema : dcnbuild::kSchemas) library.def(schema);
}
