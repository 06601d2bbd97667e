#include <torch/extension.h>
#include "order.h"
#include <cstdlib>

int jagged_max(at::Tensor values, at::Tensor ends, at::Tensor out)
{
  long n = ends.numel(), i, j = 0;
  float *in = values.data_ptr<float>(), *new_ = (float *)malloc(n * sizeof(float));
  int *class_ = make_order(n);
  for (i = 0; i < n; i++)
    for (new_[i] = in[j]; j < ends.data_ptr<int64_t>()[i]; j++)
      new_[i] = ((new_[i]) < (in[j]) ? (in[j]) : (new_[i]));
  for (i = 0; i < n; i++)
    out.data_ptr<float>()[class_[i]] = new_[i];
  free(new_);
  free(class_);
  return 1;
}
