#include <TH/TH.h>

int cpu_nms(THLongTensor* keep, THFloatTensor* boxes, float threshold) {
  long* kept = THLongTensor_data(keep);
  float* box = THFloatTensor_data(boxes);
  for (long i = 0; i < THFloatTensor_size(boxes, 0); i++) kept[i] = box[5 * i + 4] > threshold;
  return 1;
}
