// Written by `dcnbuild port` in place of torch.utils.ffi.
#include <torch/extension.h>

#include "src/jagged.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("jagged_max", &jagged_max);
}
