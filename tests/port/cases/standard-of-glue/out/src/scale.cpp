#include <ATen/cuda/CUDAContext.h>
#include <torch/extension.h>
#include <c10/cuda/CUDAGuard.h>

void launch_scale(float *data, int count, float by, cudaStream_t stream);

extern "C" int scale(at::Tensor x, float by) {
    const c10::cuda::OptionalCUDAGuard device_guard(at::device_of(x));
    int count = x.size(0);
    launch_scale(x.data_ptr<float>(), count, by, at::cuda::getCurrentCUDAStream());
    return 1;
}
