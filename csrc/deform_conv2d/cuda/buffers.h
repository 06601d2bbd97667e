// Host code of CUDA: gives kernels and GEMMs the tensors in the layout that they need, and copies
// only tensors of another layout.
#pragma once

#include <algorithm>
#include <optional>

#include "common/cuda/workspace.h"
#include "deform_conv2d/cuda/chunk.cuh"
#include "deform_conv2d/cuda/layout.cuh"
#include "deform_conv2d/operands.h"

namespace dcnbuild::cuda {

/// Images [first, first + images) and, of each, positions [begin, begin + positions).
struct ChunkRange {
  int64_t first, images, begin, positions;

  int64_t rows() const { return images * positions; }
};

/// The distance of neighbouring positions y * width + x in memory, if it is the same for all.
inline std::optional<int64_t> position_stride(const Tensor& t) {
  const int64_t height = t.size(2), width = t.size(3);
  if (width == 1) return t.stride(2);
  if (height > 1 && t.stride(2) != width * t.stride(3)) return std::nullopt;
  return t.stride(3);
}

/// Whether rows that are so many elements apart all begin at multiples of 16 bytes.
template <typename T>
bool rows_aligned(int64_t distance) {
  return distance * int64_t(sizeof(T)) % 16 == 0;
}

template <typename T>
View4<T> at_image(View4<T> view, int64_t n) {
  if (view.data) view.data += n * view.n;
  return view;
}

/// A view of a buffer [image][position][channel] of maps `width` wide.
template <typename T>
View4<T> dense_view(T* data, int64_t positions, int64_t channels, int64_t width) {
  return {data, positions * channels, 1, width * channels, channels};
}

/// The images of a pass with their channels innermost: the tensor itself if it has this layout,
/// else a copy.
template <typename T>
class ChannelsLast {
 public:
  ChannelsLast(const Geometry& g, const ChunkPlan& plan, const Tensor& input, cudaStream_t stream)
      : geometry_(g), input_(view4<const T>(input)), stream_(stream) {
    const std::optional<int64_t> pixel = position_stride(input);
    if (pixel && (input.stride(1) == 1 || g.channels == 1))
      pixel_ = *pixel;
    else
      buffer_.emplace(plan.images * g.height * g.width * g.channels, input);
  }

  template <typename offset_t>
  void load(int64_t first, int64_t images, Chunk<T, offset_t>& chunk) const {
    const View4<const T> from = at_image(input_, first);
    chunk.image = from.data, chunk.image_stride = from.n, chunk.pixel = pixel_;
    if (!buffer_) return;
    const Geometry& g = geometry_;
    const int64_t positions = g.height * g.width;
    T* data = buffer_->data();
    const CopyShape shape{static_cast<int>(g.channels), static_cast<int>(positions),
                          static_cast<int>(g.width), 0, 0};
    DCNBUILD_CUDA_CHECK(copy_layout(images, shape, from,
                                    dense_view(data, positions, g.channels, g.width), stream_));
    chunk.image = data, chunk.image_stride = positions * g.channels, chunk.pixel = g.channels;
  }

 private:
  const Geometry& geometry_;
  View4<const T> input_;
  cudaStream_t stream_;
  int64_t pixel_ = 0;
  std::optional<Scratch<T>> buffer_;
};

/// The gradients of a pass's images, [image][height][width][channel] in acc_t: grad_input itself if
/// it has this layout and dtype, else a buffer that is copied into it.
template <typename T>
class GradImages {
  using acc_t = acc_type<T>;

 public:
  GradImages(const Geometry& g, const ChunkPlan& plan, const std::optional<Tensor>& grad_input,
             cudaStream_t stream)
      : geometry_(g), tensor_(grad_input), stream_(stream) {
    if (!grad_input) return;
    grad_input_ = view4<T>(grad_input);
    if (std::is_same_v<T, acc_t> && is_channels_last(*grad_input)) {
      fill_zero(*grad_input);
    } else {
      buffer_.emplace(plan.images * g.height * g.width * g.channels, *grad_input);
    }
  }

  /// Zeros for the images from `first` on; null if grad_input is not requested.
  acc_t* begin(int64_t first) const {
    if (!buffer_) return reinterpret_cast<acc_t*>(at_image(grad_input_, first).data);
    fill_zero(buffer_->tensor(*tensor_));
    return buffer_->data();
  }

  void store(int64_t first, int64_t images) const {
    if (!buffer_) return;
    const Geometry& g = geometry_;
    const int64_t positions = g.height * g.width;
    const CopyShape shape{static_cast<int>(g.channels), static_cast<int>(positions),
                          static_cast<int>(g.width), 0, 0};
    const View4<const acc_t> from =
        dense_view<const acc_t>(buffer_->data(), positions, g.channels, g.width);
    DCNBUILD_CUDA_CHECK(copy_layout(images, shape, from, at_image(grad_input_, first), stream_));
  }

 private:
  const Geometry& geometry_;
  const std::optional<Tensor>& tensor_;
  cudaStream_t stream_;
  View4<T> grad_input_{};
  std::optional<Scratch<acc_t>> buffer_;
};

/// A chunk of an output map as [position][out channel] matrices, one for each group: the map itself
/// if all rows of the chunk are equally far apart, else a buffer beside it. A map whose rows are
/// not aligned also takes the buffer, if the buffer's are.
template <typename T>
class MapRows {
 public:
  MapRows(const Geometry& g, const ChunkPlan& plan, const Tensor& map, cudaStream_t stream)
      : geometry_(g), map_(view4<T>(map)), stream_(stream) {
    const std::optional<int64_t> row = position_stride(map);
    std::optional<int64_t> direct;
    if (g.positions() == 1)
      direct = map.stride(0);
    else if (row && (plan.images == 1 || map.stride(0) == g.positions() * *row))
      direct = row;
    // Tensor cores' kernels of a GEMM want rows that begin at multiples of 16 bytes.
    const bool straight = direct && rows_aligned<T>(std::max(*direct, map_.c));
    if (direct && (straight || !rows_aligned<T>(g.out_channels)))
      row_ = *direct;
    else
      buffer_.emplace(plan.chunk_positions() * g.out_channels, map);
  }

  /// The buffer, [position][out channel], if there is one.
  const std::optional<Scratch<std::remove_const_t<T>>>& buffer() const { return buffer_; }

  Matrices<T> rows(const ChunkRange& range) const {
    const Geometry& g = geometry_;
    const int64_t columns = g.out_channels_per_group();
    if (buffer_) return {{data(), range.rows(), columns, g.out_channels, 1}, g.groups, columns};
    T* data = map_.data + range.first * map_.n + range.begin * row_;
    return {{data, range.rows(), columns, row_, map_.c}, g.groups, columns * map_.c};
  }

  /// Copies the map to the buffer.
  void load(const ChunkRange& range) const {
    if (!buffer_) return;
    const View4<T> from = at_image(map_, range.first);
    DCNBUILD_CUDA_CHECK((copy_layout<std::remove_const_t<T>, std::remove_const_t<T>>(
        range.images, copy_shape(range, range.begin, 0),
        {from.data, from.n, from.c, from.h, from.w}, buffer_view(range), stream_)));
  }

  /// Copies the buffer to the map.
  void store(const ChunkRange& range) const {
    if (!buffer_) return;
    const auto from = buffer_view(range);
    DCNBUILD_CUDA_CHECK((copy_layout<T, T>(range.images, copy_shape(range, 0, range.begin),
                                           {from.data, from.n, from.c, from.h, from.w},
                                           at_image(map_, range.first), stream_)));
  }

 private:
  auto* data() const { return buffer_->data(); }

  auto buffer_view(const ChunkRange& range) const {
    return dense_view(data(), range.positions, geometry_.out_channels, geometry_.out_width);
  }

  CopyShape copy_shape(const ChunkRange& range, int64_t from_begin, int64_t to_begin) const {
    const Geometry& g = geometry_;
    return {static_cast<int>(g.out_channels), static_cast<int>(range.positions),
            static_cast<int>(g.out_width), static_cast<int>(from_begin),
            static_cast<int>(to_begin)};
  }

  const Geometry& geometry_;
  View4<T> map_;
  cudaStream_t stream_;
  int64_t row_ = 0;
  std::optional<Scratch<std::remove_const_t<T>>> buffer_;
};

}  // namespace dcnbuild::cuda
