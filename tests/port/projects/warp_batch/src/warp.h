#pragma once

#include <torch/extension.h>

at::Tensor warp_cpu_forward(const at::Tensor &input, const at::Tensor &weight);
#ifdef WITH_CUDA
at::Tensor warp_cuda_forward(const at::Tensor &input, const at::Tensor &weight, const int kernel_h,
                             const int kernel_w, const int pad_h, const int pad_w);
#endif

inline at::Tensor warp_forward(const at::Tensor &input, const at::Tensor &weight, const int kernel,
                               const int pad_h, const int pad_w)
{
    if (input.type().is_cuda())
    {
#ifdef WITH_CUDA
        return warp_cuda_forward(input, weight, kernel, kernel, pad_h, pad_w);
#else
        AT_ERROR("Not compiled with GPU support");
#endif
    }
    return warp_cpu_forward(input, weight);
}
