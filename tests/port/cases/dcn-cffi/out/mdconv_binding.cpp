// Written by `dcnbuild port` in place of torch.utils.ffi.
#include <torch/extension.h>

#include "src/mdconv.h"
#ifdef WITH_CUDA
#include "src/mdconv_cuda.h"
#endif

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("mdconv_forward", &mdconv_forward);
  m.def("mdconv_backward", &mdconv_backward);
#ifdef WITH_CUDA
  m.def("mdconv_cuda_forward", &mdconv_cuda_forward);
#endif
}
