// A pass of a call as kernels see it, and where its samples fall. No torch header.
//
// A group is the lanes that share one query and head. They locate one sample each, leave its
// corners in shared memory, and then go over the channels of all of them together. So locations and
// weights are read once for each sample, and the lanes wait only for their own warp.
#pragma once

#include "common/cuda/corners.cuh"
#include "deform_attn/geometry.h"

namespace dcnbuild::cuda {

/// The geometry in 32 bits: divisions by run-time numbers cost four times as much in 64.
struct AttnShape {
  int images, pixels, heads, channels;
  int queries, points, samples;  // points: of one level; samples: of all levels
  struct Level {
    int height, width, start;
  } level[kMaxLevels];
  Window window;

  AttnShape(const AttnGeometry& g, int64_t images)
      : images(int(images)),
        pixels(int(g.pixels)),
        heads(int(g.heads)),
        channels(int(g.channels)),
        queries(int(g.queries)),
        points(int(g.points)),
        samples(int(g.samples())),
        window(g.window) {
    for (int64_t i = 0; i < kMaxLevels; ++i)
      level[i] = {int(g.level[i].height), int(g.level[i].width), int(g.level[i].start)};
  }

  /// Elements of the value's gradient from one pixel to the next.
  DCNBUILD_HD int pixel_size() const { return heads * channels; }
};

/// What kernels are told of a pass. All pointers are those of its first image.
template <typename scalar_t, typename offset_t>
struct AttnCall {
  AttnShape shape;
  ValueView<const scalar_t> value;  // channels side by side
  PointView<const offset_t> locations, weights;
  acc_type<scalar_t> window_scale{};  // in the type that it is multiplied in
};

/// A query and head. `image` counts from the first of the pass.
struct AttnPlace {
  int image, query, head;

  /// Its place in [image][query][head] of a pass, which has fewer than kCountLimit (plan.h).
  DCNBUILD_HD int index(const AttnShape& shape) const {
    return (image * shape.queries + query) * shape.heads + head;
  }
};

/// The query and head of a group of lanes, and which of the groups that share those it is.
/// Neighbouring groups are neighbouring queries of a head, which read pixels near each other.
struct AttnGroup : AttnPlace {
  int slice;
  DCNBUILD_HD bool exists(const AttnShape& shape) const { return image < shape.images; }

  __device__ __forceinline__ AttnGroup(const AttnShape& shape, int lanes, int slices) {
    const unsigned index = blockIdx.x * unsigned(kThreads / lanes) + threadIdx.x / unsigned(lanes);
    unsigned rest = index / unsigned(shape.queries);
    query = int(index - rest * unsigned(shape.queries));
    slice = int(rest % unsigned(slices));
    rest /= unsigned(slices);
    image = int(rest / unsigned(shape.heads));
    head = int(rest - unsigned(image) * unsigned(shape.heads));
  }
};

/// The memory of a place in locations or weights.
template <typename T>
DCNBUILD_HD T* points_of(const PointView<T>& view, const AttnPlace& at) {
  return view.data + at.image * view.n + at.query * view.query + at.head * view.head;
}

/// The level of a sample, the sample of its image with the attention weight, and how many pixels it
/// moves by if its location moves by one.
template <typename acc_t>
struct AttnTap {
  const AttnShape::Level& level;
  Tap<acc_t> tap;
  acc_t scale_y, scale_x;
};

template <typename scalar_t, typename offset_t>
DCNBUILD_HD AttnTap<acc_type<scalar_t>> locate(const AttnCall<scalar_t, offset_t>& call,
                                               const AttnPlace& at, int index) {
  using acc_t = acc_type<scalar_t>;
  const int which = int(unsigned(index) / unsigned(call.shape.points));
  const int point = index - which * call.shape.points;
  const AttnShape::Level& level = call.shape.level[which];
  const auto of = [&](const PointView<const offset_t>& view) {
    return points_of(view, at) + which * view.level + point * view.point;
  };
  const offset_t* location = of(call.locations);
  acc_t x = static_cast<acc_t>(location[0]), y = static_cast<acc_t>(location[call.locations.axis]);
  acc_t scale_x = acc_t(level.width), scale_y = acc_t(level.height);
  acc_t shift_x = acc_t(kHalfPixel), shift_y = shift_x;
  const Window& window = call.shape.window;
  if (window.exists()) {
    x += acc_t(window.tap_x(point)), y += acc_t(window.tap_y(point));
    scale_x = scale_y = call.window_scale;
    shift_x = acc_t(window.place_x(at.query)), shift_y = acc_t(window.place_y(at.query));
  }
  return {level,
          {sample_at(pixel_coordinate(y, scale_y, shift_y), pixel_coordinate(x, scale_x, shift_x),
                     level.height, level.width),
           static_cast<acc_t>(*of(call.weights))},
          scale_y,
          scale_x};
}

/// Lets each lane of a group share one of the samples from `begin` on, and waits for its warp.
/// Returns how many there are: as many for groups without a query, since a warp goes on together.
template <typename scalar_t, typename offset_t>
__device__ __forceinline__ int share_samples(const AttnCall<scalar_t, offset_t>& call,
                                             const AttnGroup& at, int begin, int lanes, int lane,
                                             SharedCorners<acc_type<scalar_t>>* shared) {
  const int left = call.shape.samples - begin, count = left < lanes ? left : lanes;
  if (at.exists(call.shape) && lane < count) {
    const auto found = locate(call, at, begin + lane);
    shared[lane].set(found.tap, found.level.start, found.level.width);
  }
  __syncwarp();
  return count;
}

}  // namespace dcnbuild::cuda
