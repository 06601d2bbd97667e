// Takes the gradients of offset and mask from the kernels to the tensors.
#pragma once

#include "deform_conv2d/cpu/slices.h"
#include "deform_conv2d/cpu/tiles.h"

namespace dcnbuild::cpu {

/// Holds each slice's contributions for some tiles at a time, and adds the slices up.
template <typename T>
class TapGradientSums {
 public:
  /// Without `computed`, nobody computes them, and they take no memory.
  TapGradientSums(const Geometry& g, const std::vector<Slice>& slices, const Tiling& tiling,
                  int64_t images, bool computed)
      : g_(g), slices_(slices), blocks_(ceil_div(tiling.largest(), kBlock)) {
    for (const Slice& slice : slices) {
      begins_.push_back(tile_size_);
      tile_size_ += blocks_ * g.taps() * slice.groups;
    }
    const int64_t tile_bytes = images * tile_size_ * static_cast<int64_t>(sizeof(TapGradients<T>));
    // A single slice's gradients are stored right after their tile, so one tile's room is enough.
    tiles_ = slices.size() == 1 ? 1 : std::clamp<int64_t>(kBytes / tile_bytes, 1, tiling.count());
    tiles_at_once_ = slices.size() == 1 || !computed ? tiling.count() : tiles_;
    if (computed) buffer_ = Buffer<TapGradients<T>>(images * tiles_ * tile_size_);
  }

  int64_t tiles_at_once() const { return tiles_at_once_; }

  /// The gradients [block][tap][run] of a slice of an image, for the given one of the tiles.
  TapGradients<T>* part(int64_t image, int64_t slice, int64_t tile) const {
    if (buffer_.data() == nullptr) return nullptr;
    return buffer_.data() + (image * tiles_ + tile % tiles_) * tile_size_ + begins_[slice];
  }

  /// Adds up the slices of one tile into grad_offset and grad_mask; either may be absent.
  void store(const Strided<T>& grad_offset, const Strided<T>& grad_mask, int64_t n, int64_t image,
             const Tile& tile, int64_t index) const {
    if (!grad_offset && !grad_mask) return;
    const int64_t taps = g_.taps();
    const Buffer<T> offsets(2 * taps * kTilePositions), masks(taps * kTilePositions);
    for (int64_t group = 0; group < g_.offset_groups; ++group) {
      add_up(image, index, tile.positions(), group, offsets.data(), masks.data());
      if (grad_offset)
        store_tile(grad_offset, n, 2 * group * taps, 2 * taps, tile, offsets.data(), 1,
                   kTilePositions);
      if (grad_mask)
        store_tile(grad_mask, n, group * taps, taps, tile, masks.data(), 1, kTilePositions);
    }
  }

 private:
  static constexpr int64_t kBytes = 4 << 20;

  /// One offset group's sums as [tap][y, x][position] and [tap][position].
  void add_up(int64_t image, int64_t index, int64_t positions, int64_t group, T* offsets,
              T* masks) const {
    const auto put = [](bool first, T& sum, T part) { sum = first ? part : sum + part; };
    bool first = true;
    for (size_t i = 0; i < slices_.size(); ++i) {
      const Slice& slice = slices_[i];
      const int64_t run = group - slice.first_group;
      if (run < 0 || run >= slice.groups) continue;
      const TapGradients<T>* from = part(image, static_cast<int64_t>(i), index) + run;
      for (int64_t p = 0; p < positions; p += kBlock)
        for (int64_t k = 0; k < g_.taps(); ++k, from += slice.groups) {
          T *y = offsets + 2 * k * kTilePositions + p, *x = y + kTilePositions,
            *mask = masks + k * kTilePositions + p;
          for (int lane = 0; lane < kBlock; ++lane) {
            put(first, y[lane], from->y[lane]);
            put(first, x[lane], from->x[lane]);
            put(first, mask[lane], from->mask[lane]);
          }
        }
      first = false;
    }
  }

  const Geometry& g_;
  const std::vector<Slice>& slices_;
  int64_t blocks_, tile_size_ = 0, tiles_ = 0, tiles_at_once_ = 0;
  std::vector<int64_t> begins_;
  Buffer<TapGradients<T>> buffer_;
};

}  // namespace dcnbuild::cpu
