#include "attention/sample.h"

namespace groundingdino {

std::string get_compiler_version() {
  std::ostringstream ss;
#if defined(__GNUC__)
  ss << "GCC " << __GNUC__ << "." << __GNUC_MINOR__;
#else
  ss << "unknown";
#endif
  return ss.str();
}

bool has_cuda() { return false; }

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.doc() = "operators";
  m.def("get_compiler_version", &get_compiler_version, "the compiler");
  m.def("has_cuda", &has_cuda);
  m.def("sample", &sample, "samples", py::arg("value"), py::arg("locations"), py::arg("weights"),
        py::arg("scale") = 1.0f);
  m.def("scale_", &scale_, "multiplies in place", py::arg("x"), py::arg("factors"), py::arg("offset") = 0);
}

}  // namespace groundingdino
