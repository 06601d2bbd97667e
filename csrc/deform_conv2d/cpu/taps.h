// Locates the taps of a tile. Included inside an instruction set's namespace.

/// The address of a run's first channel in an image's pixels.
template <typename T>
DCNBUILD_INLINE PixelAddresses<int64_t> addresses_of(const Pixels<T>& pixels, const Run& run,
                                                     int64_t width) {
  const bool dense = pixels.run_pixels != 0;
  const int64_t step = (dense ? run.count : pixels.step) * static_cast<int64_t>(sizeof(T));
  return {reinterpret_cast<int64_t>(pixels.first + run.begin * (dense ? pixels.run_pixels : 1)),
          reinterpret_cast<int64_t>(pixels.outside), step, width * step};
}

/// Locates one tap of one offset group at kLocated positions, the block's from `lane` on.
template <bool gradients, typename T>
DCNBUILD_INLINE void locate_lanes(const Taps<T>& t, int64_t tap, int64_t group, int64_t first,
                                  int lane, const PixelAddresses<int64_t>& image,
                                  const PixelAddresses<int64_t>& grad_image, TapBlock<T>& block) {
  using V = typename Axis<T>::V;
  using I = typename Axis<T>::I;
  constexpr int bytes = sizeof(V);
  const int64_t plane = group * t.taps + tap, position = first + lane;
  const T* offset = t.offsets + 2 * plane * t.padded_positions + position;
  const ImageAt<int32_t> at{static_cast<int32_t>(t.height), static_cast<int32_t>(t.width), 0};
  // Adds whole numbers first, so that a coordinate is rounded only once.
  const V y = __builtin_convertvector(load<sizeof(I)>(t.row + position) + t.tap_row[tap], V) +
              load<bytes>(offset);
  const V x = __builtin_convertvector(load<sizeof(I)>(t.column + position) + t.tap_column[tap], V) +
              load<bytes>(offset + t.padded_positions);
  const V mask = load<bytes>(t.masks + plane * t.padded_positions + position);
  locate_samples<gradients>(y, x, mask, at, lane, image, grad_image, block);
}

/// Prefetches one of `blocks` equal shares of what is needed next. CPUs do not foresee it by
/// themselves, since each row of a tile lies in another page.
template <typename Samples>
DCNBUILD_INLINE void prefetch_share(const Samples& s, int64_t block, int64_t blocks) {
  for (const Ahead& part : s.ahead) {
    const int64_t share = (part.planes + blocks - 1) / blocks, first = block * share,
                  last = first + share < part.planes ? first + share : part.planes;
    for (int64_t plane = first; plane < last; ++plane)
      for (int64_t row = 0; row < part.rows; ++row)
        __builtin_prefetch(part.first + plane * part.plane_bytes + row * part.row_bytes, 0, 2);
  }
}

/// Calls body(first position, positions, tap, index of the run, block) for every run of channels of
/// a tile, kBlock positions and tap. It locates a block one tap ahead, because reading freshly
/// stored vectors as scalars would wait for the store. The block stays in L1; so do the pixels
/// around a tile, if a run has few channels. Without `gradients`, a block has only the values that
/// sampling needs.
template <bool gradients, typename T, typename Pixel, typename Column, typename F>
DCNBUILD_INLINE void for_tap_blocks(const Samples<T, Pixel, Column>& s, const Pixels<T>& grad_image,
                                    const F& body) {
  TapBlock<T> blocks[2];
  const Taps<T> taps = s.taps;  // a copy, which no store to memory can change
  const int64_t per_run = (s.positions + kBlock - 1) / kBlock;
  for (int64_t r = 0; r < s.run_count; ++r) {
    const Run run = s.runs[r];
    const PixelAddresses<int64_t> image = addresses_of(s.image, run, taps.width),
                                  gradient = addresses_of(grad_image, run, taps.width);
    for (int64_t first = 0; first < s.positions; first += kBlock) {
      const int64_t left = s.positions - first;
      const int positions = left < kBlock ? static_cast<int>(left) : kBlock;
      prefetch_share(s, r * per_run + first / kBlock, s.run_count * per_run);
      // Each is in one place, where the compiler makes it part of the loop.
      for (int64_t next = s.first_tap; next <= s.last_tap; ++next) {
        if (next < s.last_tap)
          for (int lane = 0; lane < kBlock; lane += kLocated<T>)
            locate_lanes<gradients>(taps, next, run.offset_group, first, lane, image, gradient,
                                    blocks[next & 1]);
        if (next > s.first_tap) body(first, positions, next - 1, r, blocks[(next - 1) & 1]);
      }
    }
  }
}
