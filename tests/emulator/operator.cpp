// The whole CUDA half, kernels and torch side, as torch.ops.dcnbuild_emulated on CPU tensors.
#include "../../csrc/cuda/deform_conv2d.cu"
#include "../../csrc/cuda/deform_pool.cu"
#include "../../csrc/schema.h"

DCNBUILD_LIBRARY(dcnbuild_emulated, library) {
  for (const char* schema : dcnbuild::kSchemas) library.def(schema);
}
