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

/// to[lane * unit + i] = from[i * row + lane].
template <typename T>
void interleave(const T* from, int64_t row, int64_t unit, int64_t lanes, T* to) {
  if (unit == 1) {
    std::copy_n(from, lanes, to);
  } else if (unit == 2) {
    for (int64_t lane = 0; lane < lanes; ++lane)
      to[2 * lane] = from[lane], to[2 * lane + 1] = from[row + lane];
  } else {
    for (int64_t lane = 0; lane < lanes; ++lane)
      for (int64_t i = 0; i < unit; ++i) to[lane * unit + i] = from[i * row + lane];
  }
}

/// What the two packings below have in common: the instruction set's lanes, how many values lie
/// side by side in a lane, and its copy of T. Weights are turned round by that copy, through a
/// buffer that stays in L1: one by one, they cost more than the products of a small image.
struct Packing {
  int64_t lanes, unit;
  Copy copy;
  int64_t workers;
};

/// For columns times weights: at(group, panel of out channels, tap, channel) has the values of
/// `unit` channels for each lane, one out channel; zero beyond the last.
template <typename T, typename F>
void pack_by_channel(const Geometry& g, const T* weight, const Packing& p, const F& at) {
  const int64_t outs = g.out_channels_per_group(), channels = g.channels_per_group(),
                taps = g.taps(), out_row = channels * taps, panels = ceil_div(outs, p.lanes),
                most = round_up(std::min(ceil_div(64, taps), channels), p.unit);
  on_workers(p.workers, [&](int64_t worker) {
    // [channel][tap][lane]
    Buffer<T> part(most * taps * p.lanes, T(0));
    for (int64_t i = worker; i < g.groups * panels; i += p.workers) {
      const int64_t group = i / panels, first = i % panels * p.lanes,
                    lanes = std::min(p.lanes, outs - first);
      const T* from = weight + (group * outs + first) * out_row;
      if (lanes < p.lanes) std::fill_n(part.data(), most * taps * p.lanes, T(0));
      for (int64_t begin = 0; begin < channels; begin += most) {
        const int64_t count = std::min(most, channels - begin),
                      padding = round_up(count, p.unit) - count;
        p.copy(count * taps, lanes, from + begin * taps, 1, out_row, part.data(), p.lanes, 1);
        std::fill_n(part.data() + count * taps * p.lanes, padding * taps * p.lanes, T(0));
        for (int64_t tap = 0; tap < taps; ++tap)
          for (int64_t c = 0; c < count; c += p.unit)
            interleave(part.data() + (c * taps + tap) * p.lanes, taps * p.lanes, p.unit, p.lanes,
                       at(group, i % panels, tap, begin + c));
      }
    }
  });
}

/// For gradients of the output times weights: at(group, tap, panel of channels, out channel) has
/// the values of `unit` out channels for each lane, one channel; zero beyond the last.
template <typename T, typename F>
void pack_by_out_channel(const Geometry& g, const T* weight, const Packing& p, const F& at) {
  const int64_t outs = g.out_channels_per_group(), channels = g.channels_per_group(),
                taps = g.taps(), units = ceil_div(outs, p.unit),
                panels = ceil_div(channels, p.lanes), row = panels * p.lanes;
  on_workers(p.workers, [&](int64_t worker) {
    // [out channel][tap][channel]
    Buffer<T> part(p.unit * taps * row, T(0));
    for (int64_t i = worker; i < g.groups * units; i += p.workers) {
      const int64_t group = i / units, first = i % units * p.unit,
                    count = std::min(p.unit, outs - first);
      const T* from = weight + (group * outs + first) * channels * taps;
      for (int64_t out = 0; out < count; ++out)
        p.copy(taps, channels, from + out * channels * taps, 1, taps,
               part.data() + out * taps * row, row, 1);
      std::fill_n(part.data() + count * taps * row, (p.unit - count) * taps * row, T(0));
      for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t panel = 0; panel < panels; ++panel)
          interleave(part.data() + tap * row + panel * p.lanes, taps * row, p.unit, p.lanes,
                     at(group, tap, panel, first));
    }
  });
}

}  // namespace dcnbuild::cpu
