#include <ATen/ATen.h>

#include <ATen/cuda/CUDAContext.h>

using at::GenericPackedTensorAccessor;

template <typename T>
using Rows = GenericPackedTensorAccessor<T, 2, at::RestrictPtrTraits, int>;

at::Tensor ones(int rows) { return at::ones({rows}, at::device(at::kCPU).dtype(at::kDouble)); }
