#pragma once
#include <torch/csrc/stable/tensor.h>
#include <vector>

torch::stable::Tensor ms_deform_attn_cpu_forward(
    const torch::stable::Tensor &value, const torch::stable::Tensor &spatial_shapes, const torch::stable::Tensor &level_start_index,
    const torch::stable::Tensor &sampling_loc, const torch::stable::Tensor &attn_weight, const int im2col_step);

std::vector<torch::stable::Tensor> ms_deform_attn_cpu_backward(
    const torch::stable::Tensor &value, const torch::stable::Tensor &spatial_shapes, const torch::stable::Tensor &level_start_index,
    const torch::stable::Tensor &sampling_loc, const torch::stable::Tensor &attn_weight, const torch::stable::Tensor &grad_output,
    const int im2col_step);
