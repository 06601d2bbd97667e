int gpu_nms(THLongTensor* keep, THCudaTensor* boxes, float threshold);
