// Written by `dcnbuild port` in place of torch.utils.ffi.
#include <torch/extension.h>

#include "src/nms.h"
#ifdef WITH_CUDA
#include "src/nms_cuda.h"
#endif

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("cpu_nms", &cpu_nms);
#ifdef WITH_CUDA
  m.def("gpu_nms", &gpu_nms);
#endif
}
