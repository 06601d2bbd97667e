// Registers the schemas, as part of the CPU library. The kernels are registered beside their code.
#include "schema.h"

#include <cstdlib>

#include "common/torch_api.h"

DCNBUILD_LIBRARY(dcnbuild, library) {
  // Python may have defined the operators before this library existed. It then sets this variable
  // while it loads the library (dcnbuild/builder/native.py): defining them twice is an error.
  if (std::getenv("DCNBUILD_SCHEMA_DEFINED") != nullptr) return;
  for (const char* schema : dcnbuild::kSchemas) library.def(schema);
}
