// Deformable PS-RoI pooling and deformable RoI pooling on the CPU. The pixels that a bin reads are
// listed once, and every channel uses the list.
#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "deform_pool/operands.h"

namespace dcnbuild::cpu {
namespace {

template <typename T>
using acc_type = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <typename T>
constexpr T kNaN = std::numeric_limits<T>::quiet_NaN();

/// A pixel of a bin: its place in memory, its weight in the bin's value, and the derivatives of
/// that value by the bin's position in pixels.
template <typename acc_t>
struct PoolTap {
  int64_t pixel;
  acc_t value, dy, dx;
  bool moves_y, moves_x;  // false: the derivative is zero for any value of the pixel
};

/// The pixels of a bin; `placed` is false for a bin that cannot be placed.
template <typename acc_t>
struct BinTaps {
  std::vector<PoolTap<acc_t>> taps;
  acc_t roi_height = 0, roi_width = 0;
  int64_t image = -1;
  bool moves_y = false, moves_x = false;  // of any tap
  bool placed() const { return image >= 0; }
};

/// A call, with the memory of its operands.
template <typename T, typename position_t>
struct PoolCall {
  const PoolGeometry& g;
  View4<const T> input;
  RoiView<position_t> rois;
  View4<const position_t> offset;

  using acc_t = acc_type<T>;

  /// Lists the pixels of bin (ph, pw) for the channels of one class of offsets.
  void list(int64_t roi, int64_t offset_class, int64_t ph, int64_t pw,
            BinTaps<acc_t>& bin_taps) const {
    acc_t offset_y = 0, offset_x = 0;
    if (offset.data) {
      const position_t* at = offset.data + roi * offset.n + 2 * offset_class * offset.c +
                             g.offset_cell_h(ph) * offset.h + g.offset_cell_w(pw) * offset.w;
      offset_x = static_cast<acc_t>(at[0]), offset_y = static_cast<acc_t>(at[offset.c]);
    }
    const Bin<acc_t> bin = locate_bin<acc_t>(g, rois, roi, offset_y, offset_x, ph, pw);
    bin_taps.image = bin.image;
    bin_taps.roi_height = bin.y.roi_size, bin_taps.roi_width = bin.x.roi_size;
    bin_taps.moves_y = bin_taps.moves_x = false;
    bin_taps.taps.clear();
    if (!bin_taps.placed()) return;
    SampleWalk<acc_t> walk(g, bin);
    PoolSample<acc_t> s;
    while (walk.next(s)) {
      const bool y = s.y.moves(), x = s.x.moves();
      bin_taps.moves_y |= y, bin_taps.moves_x |= x;
      const int64_t top = s.y.low * input.h, bottom = s.y.high * input.h, left = s.x.low * input.w,
                    right = s.x.high * input.w;
      bin_taps.taps.push_back({top + left, s.y.h() * s.x.h(), -s.x.h(), -s.y.h(), y, x});
      bin_taps.taps.push_back({top + right, s.y.h() * s.x.l, -s.x.l, s.y.h(), y, x});
      bin_taps.taps.push_back({bottom + left, s.y.l * s.x.h(), s.x.h(), -s.y.l, y, x});
      bin_taps.taps.push_back({bottom + right, s.y.l * s.x.l, s.x.l, s.y.l, y, x});
    }
    const acc_t share = acc_t(1) / walk.divisor();
    for (PoolTap<acc_t>& tap : bin_taps.taps) tap.value *= share, tap.dy *= share, tap.dx *= share;
  }

  const T* plane(const BinTaps<acc_t>& taps, int64_t channel, int64_t ph, int64_t pw) const {
    return input.data + taps.image * input.n + g.input_channel(channel, ph, pw) * input.c;
  }
};

/// Calls body(ph, pw) for every bin of a RoI.
template <typename F>
void for_bins(const PoolGeometry& g, const F& body) {
  for (int64_t ph = 0; ph < g.pooled_h; ++ph)
    for (int64_t pw = 0; pw < g.pooled_w; ++pw) body(ph, pw);
}

template <typename T, typename position_t>
void forward(const PoolCall<T, position_t>& call, const View4<T>& output) {
  using acc_t = acc_type<T>;
  const PoolGeometry& g = call.g;
  parallel_for(g.rois * g.pooled_h, 1, [&](int64_t begin, int64_t end) {
    BinTaps<acc_t> bin;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t roi = row / g.pooled_h, ph = row % g.pooled_h;
      for (int64_t pw = 0; pw < g.pooled_w; ++pw)
        for (int64_t k = 0; k < g.offset_classes; ++k) {
          call.list(roi, k, ph, pw, bin);
          T* out = output.data + roi * output.n + ph * output.h + pw * output.w;
          for (int64_t c = k * g.class_channels(); c < (k + 1) * g.class_channels(); ++c) {
            acc_t sum = bin.placed() ? acc_t(0) : kNaN<acc_t>;
            if (bin.placed()) {
              const T* plane = call.plane(bin, c, ph, pw);
              for (const PoolTap<acc_t>& tap : bin.taps)
                sum += tap.value * static_cast<acc_t>(plane[tap.pixel]);
            }
            out[c * output.c] = static_cast<T>(sum);
          }
        }
    }
  });
}

/// Adds to `sums`, which has the input's layout. Each worker owns its channels, so no two write the
/// same element, and the order of the additions never changes.
template <typename T, typename position_t>
void input_gradient(PoolCall<T, position_t> call, const View4<const T>& grad_output,
                    const View4<acc_type<T>>& sums) {
  using acc_t = acc_type<T>;
  const PoolGeometry& g = call.g;
  call.input.h = sums.h, call.input.w = sums.w;  // the listed places are places in the sums
  const int64_t workers = std::min(thread_count(), g.out_channels);
  parallel_for(workers, 1, [&](int64_t first, int64_t last) {
    const int64_t begin = g.out_channels * first / workers, end = g.out_channels * last / workers;
    BinTaps<acc_t> bin;
    for (int64_t roi = 0; roi < g.rois; ++roi)
      for (int64_t k = begin / g.class_channels(); k * g.class_channels() < end; ++k)
        for_bins(g, [&](int64_t ph, int64_t pw) {
          call.list(roi, k, ph, pw, bin);
          if (!bin.placed()) return;
          const T* grad =
              grad_output.data + roi * grad_output.n + ph * grad_output.h + pw * grad_output.w;
          const int64_t from = std::max(begin, k * g.class_channels()),
                        to = std::min(end, (k + 1) * g.class_channels());
          for (int64_t c = from; c < to; ++c) {
            acc_t* plane = sums.data + bin.image * sums.n + g.input_channel(c, ph, pw) * sums.c;
            const acc_t upstream = static_cast<acc_t>(grad[c * grad_output.c]);
            for (const PoolTap<acc_t>& tap : bin.taps) plane[tap.pixel] += upstream * tap.value;
          }
        });
  });
}

template <typename T, typename position_t>
void offset_gradient(const PoolCall<T, position_t>& call, const View4<const T>& grad_output,
                     const View4<position_t>& grad_offset) {
  using acc_t = acc_type<T>;
  const PoolGeometry& g = call.g;
  const int64_t cells = g.offset_cells_h * g.offset_cells_w;
  parallel_for(g.rois, 1, [&](int64_t begin, int64_t end) {
    BinTaps<acc_t> bin;
    std::vector<acc_t> sums(2 * g.offset_classes * cells);
    for (int64_t roi = begin; roi < end; ++roi) {
      std::fill(sums.begin(), sums.end(), acc_t(0));
      for (int64_t k = 0; k < g.offset_classes; ++k)
        for_bins(g, [&](int64_t ph, int64_t pw) {
          call.list(roi, k, ph, pw, bin);
          const T* grad =
              grad_output.data + roi * grad_output.n + ph * grad_output.h + pw * grad_output.w;
          acc_t sum_y = bin.placed() ? acc_t(0) : kNaN<acc_t>, sum_x = sum_y;
          for (int64_t c = k * g.class_channels(); bin.placed() && c < (k + 1) * g.class_channels();
               ++c) {
            const T* plane = call.plane(bin, c, ph, pw);
            acc_t dy = 0, dx = 0;
            for (const PoolTap<acc_t>& tap : bin.taps) {
              const acc_t pixel = static_cast<acc_t>(plane[tap.pixel]);
              if (tap.moves_y) dy += tap.dy * pixel;
              if (tap.moves_x) dx += tap.dx * pixel;
            }
            const acc_t upstream = static_cast<acc_t>(grad[c * grad_output.c]);
            if (bin.moves_y) sum_y += upstream * dy;
            if (bin.moves_x) sum_x += upstream * dx;
          }
          acc_t* sum = sums.data() + 2 * k * cells + g.offset_cell_h(ph) * g.offset_cells_w +
                       g.offset_cell_w(pw);
          const acc_t scale = static_cast<acc_t>(g.offset_scale);
          sum[0] += scale * bin.roi_width * sum_x;
          sum[cells] += scale * bin.roi_height * sum_y;
        });
      for (size_t i = 0; i < sums.size(); ++i)
        grad_offset.data[roi * grad_offset.n + static_cast<int64_t>(i)] =
            static_cast<position_t>(sums[i]);
    }
  });
}

template <typename T, typename position_t>
PoolCall<T, position_t> make_call(const PoolGeometry& g, const PoolOperands& t) {
  return {g, view4<const T>(t.input), roi_view<position_t>(t.rois),
          view4<const position_t>(t.offset)};
}

Tensor pool(const PoolOperands& t, const PoolGeometry& g) {
  const Tensor output = empty_pooled(t, g);
  dispatch<Half, BFloat16>(t.name, t.input, t.rois, [&](auto scalar, auto position) {
    using T = typename decltype(scalar)::type;
    forward(make_call<T, typename decltype(position)::type>(g, t), view4<T>(output));
  });
  return output;
}

std::tuple<Tensor, Tensor> pool_backward(const PoolOperands& t, const PoolGeometry& g,
                                         const Tensor& grad_output,
                                         const std::vector<bool>& output_mask) {
  check_grad_pooled(t, g, grad_output, output_mask);
  PoolGradients grads(t, output_mask);
  dispatch<Half, BFloat16>(t.name, t.input, t.rois, [&](auto scalar, auto position) {
    using T = typename decltype(scalar)::type;
    using position_t = typename decltype(position)::type;
    const auto call = make_call<T, position_t>(g, t);
    if (grads.input) {
      const Tensor sums = grads.sums();
      input_gradient(call, view4<const T>(grad_output), view4<acc_type<T>>(sums));
      if (is_half(t.input.scalar_type())) copy_into(*grads.input, sums);
    }
    if (grads.offset)
      offset_gradient(call, view4<const T>(grad_output), view4<position_t>(grads.offset));
  });
  return grads.outputs(t.input);
}

Tensor deform_psroi_pool(Tensor input, Tensor rois, std::optional<Tensor> trans,
                         double spatial_scale, int64_t group_size, int64_t pooled_size,
                         int64_t part_size, int64_t sample_per_part, double trans_std) {
  const PoolOperands t{"deform_psroi_pool", input, rois, trans};
  return pool(t, psroi_geometry(t, spatial_scale, group_size, pooled_size, part_size,
                                sample_per_part, trans_std));
}

std::tuple<Tensor, Tensor> deform_psroi_pool_backward(
    Tensor grad_output, Tensor input, Tensor rois, std::optional<Tensor> trans,
    double spatial_scale, int64_t group_size, int64_t pooled_size, int64_t part_size,
    int64_t sample_per_part, double trans_std, std::vector<bool> output_mask,
    bool /*deterministic: this backward pass always is*/) {
  const PoolOperands t{"deform_psroi_pool_backward", input, rois, trans};
  return pool_backward(t,
                       psroi_geometry(t, spatial_scale, group_size, pooled_size, part_size,
                                      sample_per_part, trans_std),
                       grad_output, output_mask);
}

Tensor deform_roi_pool(Tensor input, Tensor rois, std::optional<Tensor> offset, IntList output_size,
                       double spatial_scale, int64_t sampling_ratio, double gamma) {
  const PoolOperands t{"deform_roi_pool", input, rois, offset};
  return pool(t, roi_geometry(t, output_size, spatial_scale, sampling_ratio, gamma));
}

std::tuple<Tensor, Tensor> deform_roi_pool_backward(
    Tensor grad_output, Tensor input, Tensor rois, std::optional<Tensor> offset,
    IntList output_size, double spatial_scale, int64_t sampling_ratio, double gamma,
    std::vector<bool> output_mask, bool /*deterministic: this backward pass always is*/) {
  const PoolOperands t{"deform_roi_pool_backward", input, rois, offset};
  return pool_backward(t, roi_geometry(t, output_size, spatial_scale, sampling_ratio, gamma),
                       grad_output, output_mask);
}

}  // namespace
}  // namespace dcnbuild::cpu

DCNBUILD_LIBRARY_IMPL(dcnbuild, CPU, library) {
  library.impl("deform_psroi_pool", DCNBUILD_KERNEL(dcnbuild::cpu::deform_psroi_pool));
  library.impl("deform_psroi_pool_backward",
               DCNBUILD_KERNEL(dcnbuild::cpu::deform_psroi_pool_backward));
  library.impl("deform_roi_pool", DCNBUILD_KERNEL(dcnbuild::cpu::deform_roi_pool));
  library.impl("deform_roi_pool_backward",
               DCNBUILD_KERNEL(dcnbuild::cpu::deform_roi_pool_backward));
}
