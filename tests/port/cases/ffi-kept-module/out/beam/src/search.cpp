#include <ATen/cuda/CUDAContext.h>

#include "beamcore.h"
#include <torch/extension.h>
#include <c10/cuda/CUDAGuard.h>

extern "C" int beam_widen(at::Tensor scores, int width) {
  if (!scores.numel()) return 0;
  widen(scores.data_ptr<float>(), scores.size(0), width);
  return 1;
}

extern "C" int beam_scale(at::Tensor scores, float factor) {
  const c10::cuda::OptionalCUDAGuard device_guard(at::device_of(scores));
  scale(scores.data_ptr<float>(), factor, at::cuda::getCurrentCUDAStream());
  return 1;
}
