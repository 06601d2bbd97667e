#include "cpu/vision.h"

template <typename scalar_t>
at::Tensor nms_cpu_kernel(const at::Tensor &dets, const at::Tensor &scores, const float threshold) {
  AT_ASSERTM(!dets.type().is_cuda(), "dets must be a CPU tensor");
  AT_ASSERTM(dets.type() == scores.type(), "dets should have the same type as scores");
  if (dets.numel() == 0) {
    return at::empty({0}, dets.options().dtype(at::kLong).device(at::kCPU));
  }
  auto suppressed_t = at::zeros({dets.size(0)}, dets.options().dtype(at::kByte).device(at::kCPU));
  auto suppressed = suppressed_t.data<uint8_t>();
  auto areas = (dets.select(1, 2) - dets.select(1, 0)).contiguous();
  auto a = areas.data<scalar_t>();
  for (int64_t i = 0; i < dets.size(0); i++) suppressed[i] = a[i] < threshold;
  return at::nonzero(suppressed_t == 0).squeeze(1);
}

at::Tensor nms_cpu(const at::Tensor &dets, const at::Tensor &scores, const float threshold) {
  at::Tensor result;
  AT_DISPATCH_FLOATING_TYPES(dets.type(), "nms", [&] {
    result = nms_cpu_kernel<scalar_t>(dets, scores, threshold);
  });
  return result;
}
