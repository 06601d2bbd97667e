int beam_widen(THFloatTensor *scores, int width);
int beam_scale(THCudaTensor *scores, float factor);
