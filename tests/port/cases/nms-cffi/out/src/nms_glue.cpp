#include <torch/extension.h>
#include <math.h>
#include <stdlib.h>
int cpu_nms(at::Tensor keep_out, at::Tensor num_out, at::Tensor boxes, at::Tensor order, at::Tensor areas, float thresh) {
    TORCH_CHECK(keep_out.is_contiguous(), "keep_out must be contiguous");
    TORCH_CHECK(boxes.is_contiguous(), "boxes must be contiguous");
    long boxes_num = boxes.size(0);
    long boxes_dim = boxes.size(1);
    long * keep_flat = keep_out.data_ptr<int64_t>();
    float * boxes_flat = boxes.data_ptr<float>();
    long * order_flat = order.data_ptr<int64_t>();
    at::Tensor suppressed = at::empty({boxes_num}, at::device(at::kCPU).dtype(at::kByte));
    suppressed.fill_(0);
    unsigned char * s = suppressed.data_ptr<uint8_t>();
    float *best = (float *)malloc(boxes_num * sizeof(float));
    long num = 0;
    for (long i = 0; i < boxes_num; ++i) {
        if (s[order_flat[i]] == 1) continue;
        float x = fmaxf(boxes_flat[i * boxes_dim], 0);
        if (x > thresh) keep_flat[num++] = i;
    }
    long *num_out_flat = num_out.data_ptr<int64_t>();
    *num_out_flat = num;
    free(best);
    return 1;
}
