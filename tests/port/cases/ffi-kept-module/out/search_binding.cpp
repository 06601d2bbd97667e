// Written by `dcnbuild port` in place of torch.utils.ffi.
#include <torch/extension.h>

extern "C" {
#include "beam/src/search.h"
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("beam_widen", &beam_widen);
  m.def("beam_scale", &beam_scale);
}
