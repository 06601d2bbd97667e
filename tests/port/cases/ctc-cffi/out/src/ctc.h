#include <torch/extension.h>
int cpu_ctc(at::Tensor probs, at::Tensor grads, at::Tensor labels);
