#include <torch/extension.h>

int cpu_nms(at::Tensor keep, at::Tensor boxes, float threshold) {
  long* kept = keep.data_ptr<int64_t>();
  float* box = boxes.data_ptr<float>();
  for (long i = 0; i < boxes.size(0); i++) kept[i] = box[5 * i + 4] > threshold;
  return 1;
}
