// Written by `dcnbuild port` in place of torch.utils.ffi.
#include <torch/extension.h>

extern "C" {
#include "src/ctc.h"
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("cpu_ctc", &cpu_ctc);
}
