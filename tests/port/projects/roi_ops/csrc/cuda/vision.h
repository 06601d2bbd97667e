#pragma once
#include <torch/extension.h>

at::Tensor nms_cuda(const at::Tensor boxes, float threshold);
at::Tensor loss_cuda(const at::Tensor &logits, const at::Tensor &targets, const int num_classes);
