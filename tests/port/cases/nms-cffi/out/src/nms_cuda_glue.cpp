#include <ATen/cuda/CUDAContext.h>
#include <torch/extension.h>
#include <math.h>
#include <stdio.h>
#include "cuda/nms_kernel.h"
int gpu_nms(at::Tensor keep, at::Tensor num_out, at::Tensor boxes, float thresh) {
    TORCH_CHECK(keep.is_contiguous(), "boxes must be contiguous");
    int boxes_num = boxes.size(0);
    float* boxes_flat = boxes.data_ptr<float>();
    const int col_blocks = DIVUP(boxes_num, threadsPerBlock);
    at::Tensor mask = at::empty({boxes_num, col_blocks}, at::device(at::kCUDA).dtype(at::kLong));
    unsigned long long* mask_flat = (unsigned long long*)mask.data_ptr<int64_t>();
    _nms(boxes_num, boxes_flat, mask_flat, thresh);
    at::Tensor mask_cpu = at::empty({boxes_num, col_blocks}, at::device(at::kCPU).dtype(at::kLong));
    mask_cpu.copy_(mask);
    unsigned long long * mask_cpu_flat = (unsigned long long*)mask_cpu.data_ptr<int64_t>();
    at::Tensor remv_cpu = at::empty({col_blocks}, at::device(at::kCPU).dtype(at::kLong));
    unsigned long long* remv = (unsigned long long*)remv_cpu.data_ptr<int64_t>();
    remv_cpu.fill_(0);
    long * keep_flat = keep.data_ptr<int64_t>();
    long n = 0;
    for (int i = 0; i < boxes_num; i++) {
        if (!(remv[i / 64] & (1ULL << (i % 64)))) {
            keep_flat[n++] = i;
            remv[i / 64] |= mask_cpu_flat[i];
        }
    }
    long * num = num_out.data_ptr<int64_t>();
    * num = n;
    return 1;
}
