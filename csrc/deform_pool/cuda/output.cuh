// The poolings' output, of deformable PS-RoI pooling and deformable RoI pooling. No torch header.
#pragma once

#include "deform_pool/cuda/place.cuh"

namespace dcnbuild::cuda {

template <typename scalar_t, typename position_t>
__global__ void __launch_bounds__(kThreads, kBlocksPerSM)
    pool_kernel(const PoolCall<scalar_t, position_t> call, const unsigned blocks,
                const View4<scalar_t> output) {
  using acc_t = acc_type<scalar_t>;
  PoolPlace place;
  if (!pool_place(call, blocks, place)) return;
  const Bin<acc_t> bin = bin_at(call, place);
  acc_t result = not_a_number<acc_t>();
  if (bin.image >= 0) {
    const scalar_t* plane = channel_of(call, call.input, bin.image, place);
    acc_t sum(0);
    SampleWalk<acc_t> walk(call.g, bin);
    PoolSample<acc_t> s;
    while (walk.next(s)) {
      const PoolCorners<acc_t> at(s, call.input);
      sum += s.y.h() * (s.x.h() * static_cast<acc_t>(plane[at.tl]) +
                        s.x.l * static_cast<acc_t>(plane[at.tr])) +
             s.y.l * (s.x.h() * static_cast<acc_t>(plane[at.bl]) +
                      s.x.l * static_cast<acc_t>(plane[at.br]));
    }
    result = sum / walk.divisor();
  }
  *output_at(output, place) = static_cast<scalar_t>(result);
}

template <typename scalar_t, typename position_t>
cudaError_t pool(const PoolCall<scalar_t, position_t>& call, const View4<scalar_t>& output,
                 cudaStream_t stream) {
  const int64_t blocks = blocks_per_roi(call.g);
  return launch(DCNBUILD_GLOBAL(pool_kernel, scalar_t, position_t), call.g.rois * blocks, stream,
                call, static_cast<unsigned>(blocks), output);
}

}  // namespace dcnbuild::cuda
