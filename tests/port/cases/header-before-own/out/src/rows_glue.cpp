#include <torch/extension.h>
#include "matmul.h"
#include <cstdlib>

int rows_dot(at::Tensor columns, at::Tensor weight, at::Tensor output, int n) {
  int width = columns.size(1);
  float *copy = scratch(width);
  at::Tensor flat = output.as_strided({n, width}, {width, 1}, output.storage_offset());
  at::abs_out(flat, columns);
  at::div_out(flat, flat, at::scalar_tensor(2, flat.options()));
  auto tree = make_tree(width);
  void *room = (void *)malloc(width);
  grow(tree, room);
  copy[0] = columns.flatten().dot(weight.flatten()).item<double>() / weight.norm(2).item<double>();
  at::sub_out(output, output, weight, copy[0]);
  free(copy);
  return 1;
}
