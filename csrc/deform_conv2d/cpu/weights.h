// The weights in the GEMM's order, and the sums of their gradients.
#pragma once

#include "common/cpu/strided.h"

namespace dcnbuild::cpu {

/// Sums of the weight's gradient for each group and tap: their number, and the distances between
/// the sums of neighbouring channels and out channels.
struct WeightSums {
  int64_t size, channel, out;
};

/// A weight tensor [out channel][channel of the group][tap], dense, in the type that kernels use.
template <typename T>
class DenseWeight {
 public:
  explicit DenseWeight(const Tensor& weight)
      : dense_(as_contiguous(cast(weight, dtype_of<T>))),
        data_(static_cast<const T*>(dense_.data_ptr())) {}
  const T* data() const { return data_; }

 private:
  Tensor dense_;
  const T* data_;
};

/// For columns times weights: [group][panel of out channels][tap][channel][lane].
template <typename T>
Buffer<T> pack_weight(const Geometry& g, const Tensor& weight, int64_t workers) {
  const DenseWeight<T> dense(weight);
  const int64_t lanes = kernels<T>().lanes, outs = g.out_channels_per_group(),
                panels = ceil_div(outs, lanes), depth = g.taps() * g.channels_per_group();
  Buffer<T> packed(g.groups * panels * depth * lanes);
  on_workers(workers, [&](int64_t worker) {
    for (int64_t i = worker; i < g.groups * panels; i += workers) {
      const int64_t group = i / panels, panel = i % panels;
      T* to = packed.data() + i * depth * lanes;
      for (int64_t lane = 0; lane < lanes; ++lane) {
        const int64_t out = panel * lanes + lane;
        const T* from = dense.data() + (group * outs + out) * depth;
        for (int64_t c = 0; c < g.channels_per_group(); ++c)
          for (int64_t k = 0; k < g.taps(); ++k)
            to[(k * g.channels_per_group() + c) * lanes + lane] = out < outs ? *from++ : T(0);
      }
    }
  });
  return packed;
}

/// For gradients of the output times weights: [group][tap][panel of channels][out channel][lane].
template <typename T>
Buffer<T> pack_transposed_weight(const Geometry& g, const Tensor& weight, int64_t workers) {
  const DenseWeight<T> dense(weight);
  const int64_t lanes = kernels<T>().lanes, outs = g.out_channels_per_group(),
                panels = ceil_div(g.channels_per_group(), lanes),
                depth = g.taps() * g.channels_per_group();
  Buffer<T> packed(g.groups * g.taps() * panels * outs * lanes);
  on_workers(workers, [&](int64_t worker) {
    for (int64_t i = worker; i < g.groups * panels; i += workers) {
      const int64_t group = i / panels, panel = i % panels;
      for (int64_t out = 0; out < outs; ++out) {
        const T* from = dense.data() + (group * outs + out) * depth + panel * lanes * g.taps();
        for (int64_t lane = 0; lane < lanes; ++lane)
          for (int64_t k = 0; k < g.taps(); ++k)
            packed[(((group * g.taps() + k) * panels + panel) * outs + out) * lanes + lane] =
                panel * lanes + lane < g.channels_per_group() ? *from++ : T(0);
      }
    }
  });
  return packed;
}

}  // namespace dcnbuild::cpu
