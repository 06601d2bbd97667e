#include <ATen/ATen.h>

using at::GenericPackedTensorAccessor;
using at::RestrictPtrTraits;

at::Tensor ones(int rows) { return at::ones({rows}, at::device(at::kCPU).dtype(at::kDouble)); }
