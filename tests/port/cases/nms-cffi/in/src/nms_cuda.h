int gpu_nms(THLongTensor * keep_out, THLongTensor* num_out, THCudaTensor * boxes, float thresh);
