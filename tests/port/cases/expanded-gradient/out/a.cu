#include <torch/extension.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>

std::vector<at::Tensor> scale_backward(const at::Tensor &input, const at::Tensor &grad_output_)
{
    const at::Tensor grad_output = grad_output_.contiguous();
    TORCH_CHECK(input.is_cuda(), "input must be on a GPU");
    const c10::cuda::OptionalCUDAGuard device_guard(at::device_of(input));
    auto grad_input = at::zeros_like(input);
    for (int b = 0; b < input.size(0); b++) {
        auto grad_output_n = grad_output.select(0, b);
        launch(at::cuda::getCurrentCUDAStream(), grad_output_n.data_ptr<float>(), grad_input.data_ptr<float>());
    }
    return {grad_input};
}
