#include "cpu/vision.h"
#ifdef WITH_CUDA
#include "cuda/vision.h"
#endif

at::Tensor nms(const at::Tensor &dets, const at::Tensor &scores, const float threshold) {
  if (dets.type().is_cuda()) {
#ifdef WITH_CUDA
    if (dets.numel() == 0)
      return at::empty({0}, dets.options().dtype(at::kLong).device(at::kCPU));
    auto b = at::cat({dets, scores.unsqueeze(1)}, 1);
    return nms_cuda(b, threshold);
#else
    AT_ERROR("Not compiled with GPU support");
#endif
  }
  return nms_cpu(dets, scores, threshold);
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) { m.def("nms", &nms, "non-maximum suppression"); }
