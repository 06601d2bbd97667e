#include <torch/extension.h>
int gpu_nms(at::Tensor keep, at::Tensor boxes, float threshold);
