#include <THC/THC.h>

#include "nms_kernel.h"

extern THCState* state;

int gpu_nms(THLongTensor* keep, THCudaTensor* boxes, float threshold) {
  THArgCheck(THCudaTensor_isContiguous(state, boxes), 2, "boxes must be contiguous");
  run_nms(THCudaTensor_data(state, boxes), THCudaTensor_size(state, boxes, 0), threshold);
  return 1;
}
