#include <torch/extension.h>
int jagged_max(at::Tensor values, at::Tensor ends, at::Tensor out);
