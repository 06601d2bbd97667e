#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>

#include <THC/THC.h>
#include <THC/THCDeviceUtils.cuh>

#include <vector>
#include <iostream>

int const threadsPerBlock = sizeof(unsigned long long) * 8;

__global__ void overlaps(const int n, const float threshold, const float *boxes,
                         unsigned long long *mask) {
  const int i = blockIdx.x * threadsPerBlock + threadIdx.x;
  if (i < n) {
    const int blocks = THCCeilDiv(n, threadsPerBlock);
    mask[i * blocks] = boxes[i * 5] > threshold ? 1ULL : 0ULL;
  }
}

// boxes is a N x 5 tensor
at::Tensor nms_cuda(const at::Tensor boxes, float threshold) {
  using scalar_t = float;
  AT_ASSERTM(boxes.type().is_cuda(), "boxes must be a CUDA tensor");
  auto scores = boxes.select(1, 4);
  auto order = std::get<1>(scores.sort(0, /* descending=*/true));
  auto sorted = boxes.index_select(0, order);

  int boxes_num = boxes.size(0);
  const int col_blocks = THCCeilDiv(boxes_num, threadsPerBlock);
  scalar_t *boxes_dev = sorted.data<scalar_t>();

  THCState *state = at::globalContext().lazyInitCUDA(); // TODO replace with getTHCState

  unsigned long long *mask_dev = NULL;
  //THCudaCheck(THCudaMalloc(state, (void**) &mask_dev, boxes_num * col_blocks * 8));
  mask_dev = (unsigned long long *) THCudaMalloc(state, boxes_num * col_blocks * sizeof(unsigned long long));

  dim3 blocks(THCCeilDiv(boxes_num, threadsPerBlock), THCCeilDiv(boxes_num, threadsPerBlock));
  dim3 threads(threadsPerBlock);
  overlaps<<<blocks, threads>>>(boxes_num, threshold, boxes_dev, mask_dev);

  std::vector<unsigned long long> mask_host(boxes_num * col_blocks);
  THCudaCheck(cudaMemcpy(&mask_host[0], mask_dev,
                         sizeof(unsigned long long) * boxes_num * col_blocks,
                         cudaMemcpyDeviceToHost));

  at::Tensor keep = at::empty({boxes_num}, boxes.options().dtype(at::kLong).device(at::kCPU));
  int64_t *keep_out = keep.data<int64_t>();
  int num_to_keep = 0;
  for (int i = 0; i < boxes_num; i++) {
    if (!mask_host[i]) keep_out[num_to_keep++] = i;
  }
  THCudaFree(state, mask_dev);
  // TODO improve this part
  return std::get<0>(order.index({
                       keep.narrow(0, 0, num_to_keep).to(order.device(), keep.scalar_type())
                     }).sort(0, false));
}
