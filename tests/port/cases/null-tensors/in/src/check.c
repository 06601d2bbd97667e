#include <THC/THC.h>
extern THCState *state;
void check(THCState *state, THCudaTensor *input, THCudaTensor *bias, THCudaTensor *grad) {
  if (bias && bias->nDimension != 1) THError("a bias of %d dimensions", bias->nDimension);
  if (!grad || !THCudaTensor_isContiguous(state, input)) THError("no gradient");
}
int forward(THCudaTensor *input, THCudaTensor *bias) {
  check(state, input, bias, NULL);
  bias = bias ? THCudaTensor_newContiguous(state, bias) : bias;
  return 1;
}
