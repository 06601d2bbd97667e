#pragma once
#include <torch/extension.h>

int dcn_v2_forward(
    at::Tensor input, at::Tensor weight, at::Tensor bias, at::Tensor offset, at::Tensor mask,
    at::Tensor columns, at::Tensor output, int stride, int pad, int dilation);
