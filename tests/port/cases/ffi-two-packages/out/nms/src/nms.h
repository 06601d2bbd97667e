#include <torch/extension.h>
int cpu_nms(at::Tensor keep, at::Tensor boxes, float threshold);
