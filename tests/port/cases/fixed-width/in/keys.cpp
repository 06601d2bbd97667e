#include "keys.hpp"
#include <torch/extension.h>

at::Tensor keys(at::Tensor x) {
  AT_CHECK(x.dim() == 1, "one row");
  return x + static_cast<int64_t>(spread({1, 2}));
}
