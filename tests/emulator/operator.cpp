// The operators' schemas, for the launchers and kernels that build.py compiles beside it.
#include "schema.h"

#include "common/torch_api.h"

DCNBUILD_LIBRARY(DCNBUILD_TEST_NAMESPACE, library) {
  for (const char* schema : dcnbuild::kSchemas) library.def(schema);
}
