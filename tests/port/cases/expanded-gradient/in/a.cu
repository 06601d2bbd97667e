#include <torch/extension.h>
#include <ATen/cuda/CUDAContext.h>

std::vector<at::Tensor> scale_backward(const at::Tensor &input, const at::Tensor &grad_output)
{
    AT_CHECK(input.is_cuda(), "input must be on a GPU");
    auto grad_input = at::zeros_like(input);
    for (int b = 0; b < input.size(0); b++) {
        auto grad_output_n = grad_output.select(0, b);
        launch(at::cuda::getCurrentCUDAStream(), grad_output_n.data<float>(), grad_input.data<float>());
    }
    return {grad_input};
}
