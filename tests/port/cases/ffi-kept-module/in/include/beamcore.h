#pragma once
#include <cuda_runtime.h>
void widen(float *scores, long count, int width);
void scale(float *scores, float factor, cudaStream_t stream);
