#include <torch/extension.h>

#include "shim.h"

at::Tensor halve(at::Tensor x) {
  at::Tensor half = at::Scalar(0.5).toTensor();
  AT_DISPATCH_FLOATING_TYPES(AnyType(x.type()), "halve", [&] { x.data<scalar_t>()[0] /= 2; });
  BY_KIND(AnyType(x.type()), "halve", x.data<value_t>()[0] += 1);
  return x * half;
}
