#include <vector>

#include <ATen/ATen.h>
#include <TH/TH.h>

/* THArgCheck(input.is_contiguous(), 1, "…") was in the GPU version */
at::Tensor warp_cpu_forward(const at::Tensor &input, const at::Tensor &weight)
{
    THArgCheck(weight.is_contiguous(), 2, "weight has to be contiguous");
    auto output = at::zeros({weight.size(0), input.size(1)}, input.options());
    long m = input.size(1), n = weight.size(0), k = input.size(0);
    THFloatBlas_gemm('n', 'n', m, n, k, 1.0f, input.data<float>(), m, weight.data<float>(), k, 0.0f,
                     output.data<float>(), m);
    return output;
}
