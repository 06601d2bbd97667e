// Registers the schemas. Loaded with every CPU library; the kernels register themselves beside
// their code.
#include "schema.h"

#include <cstdlib>

#include "common/torch_api.h"

DCNBUILD_LIBRARY(dcnbuild, library) {
  // Where Python had to define the operators before any library existed, it says so while it loads
  // one (dcnbuild/builder/native.py): defining them twice is an error.
  if (std::getenv("DCNBUILD_SCHEMA_DEFINED") != nullptr) return;
  for (const char* schema : dcnbuild::kSchemas) library.def(schema);
}
