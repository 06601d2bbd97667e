#pragma once
#include <torch/csrc/stable/tensor.h>

int dcn_v2_forward(
    torch::stable::Tensor input, torch::stable::Tensor weight, torch::stable::Tensor bias, torch::stable::Tensor offset, torch::stable::Tensor mask,
    torch::stable::Tensor columns, torch::stable::Tensor output, int stride, int pad, int dilation);
