#include <ATen/ATen.h>
#include <THC/THC.h>
#include <THC/THCAsmUtils.cuh>

// Each lane's place among those of its warp that hold something.
__global__ void rank(const int* in, int* out) {
  const unsigned held = __ballot(in[threadIdx.x] != 0);
  const unsigned bits = Bitfield<unsigned>::getBitfield(held, 0, getLaneId());
  out[threadIdx.x] = __popc(bits & getLaneMaskLt());
}

void rank_cuda(at::Tensor in, at::Tensor out) {
  rank<<<1, 32, 0, THCState_getCurrentStream(at::globalContext().getTHCState())>>>(in.data<int>(), out.data<int>());
}
