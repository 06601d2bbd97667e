// The shape of a call of deform_conv2d. No torch header: CPU and CUDA kernels share this file.
#pragma once

#include <cstdint>

#include "common/views.h"

namespace dcnbuild {

/// The shape of one deformable convolution; all counts in elements.
struct Geometry {
  int64_t batch, channels, height, width;       // input
  int64_t out_channels, out_height, out_width;  // output
  int64_t kernel_h, kernel_w;
  int64_t stride_h, stride_w;
  int64_t padding_h, padding_w;
  int64_t dilation_h, dilation_w;
  int64_t groups, offset_groups;

  constexpr int64_t taps() const { return kernel_h * kernel_w; }
  constexpr int64_t positions() const { return out_height * out_width; }
  constexpr int64_t column_size() const { return taps() * channels; }
  constexpr int64_t channels_per_group() const { return channels / groups; }
  constexpr int64_t channels_per_offset_group() const { return channels / offset_groups; }
  constexpr int64_t out_channels_per_group() const { return out_channels / groups; }
};

}  // namespace dcnbuild
