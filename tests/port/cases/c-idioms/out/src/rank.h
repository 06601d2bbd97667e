#include <torch/extension.h>
int rank_rows(at::Tensor values, at::Tensor ranks);
