// The backward pass over a tile's samples, with vector lanes over channels. Included inside an
// instruction set's namespace.

/// `Pixel` is what the image's pixels are; they may be given as its bits.
template <bool scatter, typename Pixel, typename T, typename Given>
DCNBUILD_INLINE void differentiate_tile(const Differentiate<T, Given>& d) {
  const Samples<T, Given>& s = d.samples;
  for_tap_blocks<true>(
      s, d.grad_image,
      [&](int64_t first, int positions, int64_t tap, int64_t r, const TapBlock<T>& block) {
        const Run run = s.runs[r];
        T* column = column_of(s, first, tap, run);
        T sums[4][kBlock] = {};
        for (int lane = 0; lane < positions; ++lane, column += s.column_row) {
          const Corners<T, Pixel> at = corners_of<Pixel>(block, lane);
          T* grad_pixel[4];
          for (int which = 0; which < 4; ++which)
            grad_pixel[which] = pointer<T>(block.grad_pixel[which][lane]);
          T sum[4] = {};
          const int64_t c = differentiate_vectors<DCNBUILD_VECTOR_BYTES, true, scatter, true>(
              at, grad_pixel, 0, run.count, column, column, sum);
          differentiate_scalars<true, scatter, true>(at, {1, 1, 1, 1}, grad_pixel, c, run.count,
                                                     column, column, sum);
          for (int which = 0; which < 4; ++which) sums[which][lane] = sum[which];
        }
        tap_gradients(block, sums,
                      d.gradients[(first / kBlock * s.taps.taps + tap) * s.run_count + r]);
      });
}

template <typename Pixel, typename T, typename Given>
void differentiate(const Differentiate<T, Given>& d) {
  if (d.grad_image.first) {
    differentiate_tile<true, Pixel>(d);
  } else {
    differentiate_tile<false, Pixel>(d);
  }
}
