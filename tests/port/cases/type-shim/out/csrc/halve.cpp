#include <torch/extension.h>

#include "shim.h"

at::Tensor halve(at::Tensor x) {
  at::Tensor half = c10::scalar_to_tensor(at::Scalar(0.5));
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "halve", [&] { x.data_ptr<scalar_t>()[0] /= 2; });
  BY_KIND(x.scalar_type(), "halve", x.data_ptr<value_t>()[0] += 1);
  return x * half;
}
