#include <TH/TH.h>
#include "matmul.h"

int rows_dot(THFloatTensor *columns, THFloatTensor *weight, THFloatTensor *output, int n) {
  int width = columns->size[1];
  float *copy = scratch(width);
  THFloatTensor *flat = THFloatTensor_newWithStorage2d(output->storage, output->storageOffset, n, -1, width, -1);
  THFloatTensor_abs(flat, columns);
  THFloatTensor_div(flat, flat, 2);
  void *tree = make_tree(width);
  void *room = malloc(width);
  grow(tree, room);
  copy[0] = THFloatTensor_dot(columns, weight) / THFloatTensor_normall(weight, 2);
  THFloatTensor_csub(output, output, copy[0], weight);
  free(copy);
  THFloatTensor_free(flat);
  return 1;
}
