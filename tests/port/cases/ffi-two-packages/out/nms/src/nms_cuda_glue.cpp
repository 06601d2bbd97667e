#include <ATen/cuda/CUDAContext.h>

#include "nms_kernel.h"
#include <torch/extension.h>

int gpu_nms(at::Tensor keep, at::Tensor boxes, float threshold) {
  TORCH_CHECK(boxes.is_contiguous(), "boxes must be contiguous");
  run_nms(boxes.data_ptr<float>(), boxes.size(0), threshold);
  return 1;
}
