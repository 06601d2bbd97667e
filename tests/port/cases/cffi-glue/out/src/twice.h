#include <torch/extension.h>
int twice(at::Tensor in, at::Tensor out);
