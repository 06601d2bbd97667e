// Sends a call to the CPU or to CUDA.
#pragma once

#include "cpu/ms_deform_attn_cpu.h"
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#ifdef WITH_CUDA
#include "cuda/ms_deform_attn_cuda.h"
#endif

torch::stable::Tensor ms_deform_attn_forward(
    const torch::stable::Tensor &value, const torch::stable::Tensor &spatial_shapes, const torch::stable::Tensor &level_start_index,
    const torch::stable::Tensor &sampling_loc, const torch::stable::Tensor &attn_weight, const int im2col_step) {
  if (value.is_cuda()) {
#ifdef WITH_CUDA
    return ms_deform_attn_cuda_forward(
        value, spatial_shapes, level_start_index, sampling_loc, attn_weight, im2col_step);
#else
    STD_TORCH_CHECK(false, "Not compiled with GPU support");
#endif
  }
  return ms_deform_attn_cpu_forward(
      value, spatial_shapes, level_start_index, sampling_loc, attn_weight, im2col_step);
}

std::vector<torch::stable::Tensor> ms_deform_attn_backward(
    const torch::stable::Tensor &value, const torch::stable::Tensor &spatial_shapes, const torch::stable::Tensor &level_start_index,
    const torch::stable::Tensor &sampling_loc, const torch::stable::Tensor &attn_weight, const torch::stable::Tensor &grad_output,
    const int im2col_step) {
  if (value.is_cuda()) {
#ifdef WITH_CUDA
    return ms_deform_attn_cuda_backward(
        value, spatial_shapes, level_start_index, sampling_loc, attn_weight, grad_output, im2col_step);
#else
    STD_TORCH_CHECK(false, "Not compiled with GPU support");
#endif
  }
  return ms_deform_attn_cpu_backward(
      value, spatial_shapes, level_start_index, sampling_loc, attn_weight, grad_output, im2col_step);
}
