#include "warp.h"

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("warp_forward", &warp_forward, "warp_forward");
}
