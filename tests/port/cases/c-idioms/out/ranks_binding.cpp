// Written by `dcnbuild port` in place of torch.utils.ffi.
#include <torch/extension.h>

#include "src/rank.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("rank_rows", &rank_rows);
}
