#include <THC/THC.h>

#include "beamcore.h"

extern THCState *state;

extern "C" int beam_widen(THFloatTensor *scores, int width) {
  if (!THFloatTensor_storage(scores)) return 0;
  widen(THFloatTensor_data(scores), THFloatTensor_size(scores, 0), width);
  return 1;
}

extern "C" int beam_scale(THCudaTensor *scores, float factor) {
  scale(THCudaTensor_data(state, scores), factor, THCState_getCurrentStream(state));
  return 1;
}
