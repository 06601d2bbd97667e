// Written by `dcnbuild port` in place of torch.utils.ffi.
#include <torch/extension.h>

#include "src/nms.h"
#include "src/nms_cuda.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("cpu_nms", &cpu_nms);
  m.def("gpu_nms", &gpu_nms);
}
