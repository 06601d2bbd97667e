#include <torch/extension.h>
extern "C" int cpu_ctc(at::Tensor probs, at::Tensor grads, at::Tensor labels) {
  float *p = probs.data_ptr<float>();
  float *g;
  if (grads.numel()) {
    g = grads.data_ptr<float>();
  } else {
    g = NULL;
  }
  int *whole = (labels.data_ptr<int>() - labels.storage_offset());
  long offset = labels.storage_offset();
  if (g) g[0] = p[0] + whole[offset];
  return grads.defined() ? 1 : 0;
}
