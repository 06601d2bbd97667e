#include <TH/TH.h>
#include <math.h>
#include <stdlib.h>
int cpu_nms(THLongTensor * keep_out, THLongTensor * num_out, THFloatTensor * boxes, THLongTensor * order, THFloatTensor * areas, float thresh) {
    THArgCheck(THLongTensor_isContiguous(keep_out), 0, "keep_out must be contiguous");
    THArgCheck(THFloatTensor_isContiguous(boxes), 2, "boxes must be contiguous");
    long boxes_num = THFloatTensor_size(boxes, 0);
    long boxes_dim = THFloatTensor_size(boxes, 1);
    long * keep_flat = THLongTensor_data(keep_out);
    float * boxes_flat = THFloatTensor_data(boxes);
    long * order_flat = THLongTensor_data(order);
    THByteTensor* suppressed = THByteTensor_newWithSize1d(boxes_num);
    THByteTensor_fill(suppressed, 0);
    unsigned char * s = THByteTensor_data(suppressed);
    float *best = malloc(boxes_num * sizeof(float));
    long num = 0;
    for (long i = 0; i < boxes_num; ++i) {
        if (s[order_flat[i]] == 1) continue;
        float x = fmaxf(boxes_flat[i * boxes_dim], 0);
        if (x > thresh) keep_flat[num++] = i;
    }
    long *num_out_flat = THLongTensor_data(num_out);
    *num_out_flat = num;
    free(best);
    THByteTensor_free(suppressed);
    return 1;
}
