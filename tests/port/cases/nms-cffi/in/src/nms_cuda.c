#include <THC/THC.h>
#include <TH/TH.h>
#include <math.h>
#include <stdio.h>
#include "cuda/nms_kernel.h"
extern THCState *state;
int gpu_nms(THLongTensor * keep, THLongTensor* num_out, THCudaTensor * boxes, float thresh) {
    THArgCheck(THLongTensor_isContiguous(keep), 0, "boxes must be contiguous");
    int boxes_num = THCudaTensor_size(state, boxes, 0);
    float* boxes_flat = THCudaTensor_data(state, boxes);
    const int col_blocks = DIVUP(boxes_num, threadsPerBlock);
    THCudaLongTensor * mask = THCudaLongTensor_newWithSize2d(state, boxes_num, col_blocks);
    unsigned long long* mask_flat = THCudaLongTensor_data(state, mask);
    _nms(boxes_num, boxes_flat, mask_flat, thresh);
    THLongTensor * mask_cpu = THLongTensor_newWithSize2d(boxes_num, col_blocks);
    THLongTensor_copyCuda(state, mask_cpu, mask);
    THCudaLongTensor_free(state, mask);
    unsigned long long * mask_cpu_flat = THLongTensor_data(mask_cpu);
    THLongTensor * remv_cpu = THLongTensor_newWithSize1d(col_blocks);
    unsigned long long* remv = THLongTensor_data(remv_cpu);
    THLongTensor_fill(remv_cpu, 0);
    long * keep_flat = THLongTensor_data(keep);
    long n = 0;
    for (int i = 0; i < boxes_num; i++) {
        if (!(remv[i / 64] & (1ULL << (i % 64)))) {
            keep_flat[n++] = i;
            remv[i / 64] |= mask_cpu_flat[i];
        }
    }
    long * num = THLongTensor_data(num_out);
    * num = n;
    THLongTensor_free(mask_cpu);
    THLongTensor_free(remv_cpu);
    return 1;
}
