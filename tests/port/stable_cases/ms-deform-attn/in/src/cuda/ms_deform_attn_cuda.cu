#include <vector>

#include "cuda/ms_deform_im2col_cuda.cuh"

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <cuda.h>
#include <cuda_runtime.h>

at::Tensor ms_deform_attn_cuda_forward(
    const at::Tensor &value, const at::Tensor &spatial_shapes, const at::Tensor &level_start_index,
    const at::Tensor &sampling_loc, const at::Tensor &attn_weight, const int im2col_step) {
  AT_ASSERTM(value.is_contiguous(), "value tensor has to be contiguous");
  AT_ASSERTM(value.type().is_cuda(), "value must be a CUDA tensor");
  AT_ASSERTM(sampling_loc.type().is_cuda(), "sampling_loc must be a CUDA tensor");

  const int batch = value.size(0), keys = value.size(1), heads = value.size(2), channels = value.size(3);
  const int levels = spatial_shapes.size(0), queries = sampling_loc.size(1), points = sampling_loc.size(4);
  const int step = std::min(batch, im2col_step);
  AT_ASSERTM(batch % step == 0, "batch(%d) must divide im2col_step(%d)", batch, step);

  auto output = at::zeros({batch, queries, heads, channels}, value.options());
  auto output_n = output.view({batch / step, step, queries, heads, channels});
  auto per_value = keys * heads * channels;
  auto per_location = queries * heads * levels * points * 2;
  auto per_weight = queries * heads * levels * points;
  for (int n = 0; n < batch / step; ++n) {
    auto columns = output_n.select(0, n);
    AT_DISPATCH_FLOATING_TYPES(value.type(), "ms_deform_attn_forward_cuda", ([&] {
      ms_deformable_im2col_cuda(
          at::cuda::getCurrentCUDAStream(),
          value.data<scalar_t>() + n * step * per_value,
          spatial_shapes.data<int64_t>(),
          level_start_index.data<int64_t>(),
          sampling_loc.data<scalar_t>() + n * step * per_location,
          attn_weight.data<scalar_t>() + n * step * per_weight,
          step, keys, heads, channels, levels, queries, points,
          columns.data<scalar_t>());
    }));
  }
  output = output.view({batch, queries, heads * channels});
  return output;
}

std::vector<at::Tensor> ms_deform_attn_cuda_backward(
    const at::Tensor &value, const at::Tensor &spatial_shapes, const at::Tensor &level_start_index,
    const at::Tensor &sampling_loc, const at::Tensor &attn_weight, const at::Tensor &grad_output,
    const int im2col_step) {
  AT_ASSERTM(grad_output.is_contiguous(), "grad_output tensor has to be contiguous");
  const int batch = value.size(0), keys = value.size(1), heads = value.size(2), channels = value.size(3);
  const int levels = spatial_shapes.size(0), queries = sampling_loc.size(1), points = sampling_loc.size(4);
  auto grad_value = at::zeros_like(value);
  auto grad_loc = at::zeros_like(sampling_loc);
  auto grad_weight = at::zeros_like(attn_weight);
  const int n = batch * queries * heads * channels;
  AT_DISPATCH_FLOATING_TYPES(value.type(), "ms_deform_attn_backward_cuda", ([&] {
    ms_deformable_col2im_kernel<scalar_t>
        <<<GET_BLOCKS(n), CUDA_NUM_THREADS, 0, at::cuda::getCurrentCUDAStream()>>>(
            n, grad_output.data<scalar_t>(), spatial_shapes.data<int64_t>(),
            level_start_index.data<int64_t>(), sampling_loc.data<scalar_t>(),
            attn_weight.data<scalar_t>(), keys, heads, channels, levels, queries, points,
            grad_value.data<scalar_t>());
  }));
  AT_CUDA_CHECK(cudaGetLastError());
  return {grad_value, grad_loc, grad_weight};
}
