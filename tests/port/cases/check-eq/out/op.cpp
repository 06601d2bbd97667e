#include <torch/extension.h>

void same(at::Tensor a, at::Tensor b) {
  TORCH_CHECK(a.is_contiguous(), "a must be contiguous");
  TORCH_CHECK_EQ(a.size(0), b.size(0));
  TORCH_CHECK_GT(a.size(1), 0);
}
