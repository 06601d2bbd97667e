#include <ATen/ATen.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/AsmUtils.cuh>
#include <c10/cuda/CUDAGuard.h>

// Each lane's place among those of its warp that hold something.
__global__ void rank(const int* in, int* out) {
  const unsigned held = __ballot_sync(0xffffffffu, in[threadIdx.x] != 0);
  const unsigned bits = at::cuda::Bitfield<unsigned>::getBitfield(held, 0, at::cuda::getLaneId());
  out[threadIdx.x] = __popc(bits & at::cuda::getLaneMaskLt());
}

void rank_cuda(at::Tensor in, at::Tensor out) {
  const c10::cuda::OptionalCUDAGuard device_guard(at::device_of(in));
  rank<<<1, 32, 0, at::cuda::getCurrentCUDAStream()>>>(in.data_ptr<int>(), out.data_ptr<int>());
}
