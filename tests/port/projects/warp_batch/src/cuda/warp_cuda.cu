#include <vector>
#include "warp_kernel.h"

#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>

#include <THC/THC.h>
#include <THC/THCAtomics.cuh>
#include <THC/THCDeviceUtils.cuh>

extern THCState *state;

// THCudaBlas_Sgemm is what the first version called; see THCState_getCurrentStream(state).
__global__ void pointer_table(const float **input_b, float **output_b, float *input, float *output,
                              const int input_step, const int output_step, const int batch)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < batch) {
        input_b[i] = input + i * input_step;
        output_b[i] = output + i * output_step;
    }
}

at::Tensor warp_cuda_forward(const at::Tensor &input, const at::Tensor &weight,
                             const int kernel_h, const int kernel_w,
                             const int pad_h, const int pad_w)
{
    AT_ASSERTM(input.type().is_cuda(), "input must be a CUDA tensor");
    AT_ASSERTM(weight.type().is_cuda(), "weight must be a CUDA tensor");
    THArgCheck(input.is_contiguous(), 1, "input has to be contiguous");

    const int batch = input.size(0);
    const int channels = input.size(1);
    const int channels_kernel = weight.size(1);
    AT_ASSERTM(channels == channels_kernel,
               "channels of input and weight differ: (%d vs %d).", channels, channels_kernel);

    const int positions = input.size(2) * input.size(3);
    auto columns = at::empty({batch, channels, positions}, input.options());
    auto output = at::zeros({batch, weight.size(0), positions}, input.options());

    int bytes = batch * sizeof(float *);
    auto input_b = static_cast<const float **>(THCudaMalloc(state, bytes));
    auto output_b = static_cast<float **>(THCudaMalloc(state, bytes));
    pointer_table<<<1, 128, 0, THCState_getCurrentStream(state)>>>(
        input_b, output_b, columns.data<float>(), output.data<float>(),
        channels * positions, positions, batch);

    long m = weight.size(0);
    long n = positions;
    long k = channels;
    THCudaBlas_SgemmBatched(state,
                            'n',
                            'n',
                            n, m, k, 1.0f,
                            input_b, n,
                            (const float **)output_b, k,
                            0.0f, output_b, n, batch);
    for (int b = 0; b < batch; b++) {
        auto column = columns.select(0, b);
        auto out = output.select(0, b);
        THCudaBlas_Sgemm(state, 't', 'n', n, m, k, 1.0f, column.data<float>(), k,
                         weight.data<float>(), k, 0.0f, out.data<float>(), n);
        THCudaBlas_Sgemv(state, 't', k, m, 1.0f, column.data<float>(), k,
                         weight.contiguous().data<float>(), 1, 1.0f, out.data<float>(), 1);
        warp_columns(THCState_getCurrentStream(state), input.data<float>(), channels, kernel_h,
                     kernel_w, pad_h, pad_w, column.data<float>());
    }
    THCudaFree(state, input_b);
    THCudaFree(state, output_b);
    return output;
}
