// Written by `dcnbuild port` in place of torch.utils.ffi.
#include <torch/extension.h>

#include "src/rows.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("rows_dot", &rows_dot);
}
