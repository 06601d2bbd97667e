// The backward pass over a tile's samples, with vector lanes over channels. Included inside an
// instruction set's namespace.

/// For as many channels as fill vectors of `bytes`, then of half as many: turns gradients of
/// columns into columns, adds to the neighbours' gradients and to sums of gradient * neighbour.
template <int bytes, bool scatter, typename T>
DCNBUILD_INLINE int64_t differentiate_run(const Corners<T>& at, T* const (&grad_pixel)[4],
                                          int64_t c, int64_t count, T* column, T (&sums)[4]) {
  if (c + kLanes<T, bytes> <= count) {
    Vector<T, bytes> partial[4] = {};
    do {
      const Vector<T, bytes> gradient = load<bytes>(column + c);
      Vector<T, bytes> value = {};
      for (int which = 0; which < 4; ++which) {
        const Vector<T, bytes> pixel = load<bytes>(at.pixel[which] + c);
        value += at.weight[which] * pixel;
        partial[which] += gradient * pixel;
        if constexpr (scatter) {
          T* to = grad_pixel[which] + c;
          store<bytes>(to, load<bytes>(to) + at.weight[which] * gradient);
        }
      }
      store<bytes>(column + c, value);
      c += kLanes<T, bytes>;
    } while (c + kLanes<T, bytes> <= count);
    for (int which = 0; which < 4; ++which) sums[which] += sum_of_lanes<T, bytes>(partial[which]);
  }
  if constexpr (bytes > 16)
    c = differentiate_run<bytes / 2, scatter>(at, grad_pixel, c, count, column, sums);
  return c;
}

template <bool scatter, typename T>
DCNBUILD_INLINE void differentiate_tile(const Differentiate<T>& d) {
  const Samples<T>& s = d.samples;
  for_tap_blocks<true>(
      s, d.grad_image,
      [&](int64_t first, int positions, int64_t tap, int64_t r, const TapBlock<T>& block) {
        const Run run = s.runs[r];
        T* column = column_of(s, first, tap, run);
        T sums[4][kBlock] = {};
        for (int lane = 0; lane < positions; ++lane, column += s.column_row) {
          const Corners<T> at = corners_of<T>(block, lane);
          T* grad_pixel[4];
          for (int which = 0; which < 4; ++which)
            grad_pixel[which] = pointer<T>(block.grad_pixel[which][lane]);
          T sum[4] = {};
          int64_t c = differentiate_run<DCNBUILD_VECTOR_BYTES, scatter>(at, grad_pixel, 0,
                                                                        run.count, column, sum);
          for (; c < run.count; ++c) {
            const T gradient = column[c];
            T value = 0;
            for (int which = 0; which < 4; ++which) {
              value += at.weight[which] * at.pixel[which][c];
              sum[which] += gradient * at.pixel[which][c];
              if constexpr (scatter) grad_pixel[which][c] += at.weight[which] * gradient;
            }
            column[c] = value;
          }
          for (int which = 0; which < 4; ++which) sums[which][lane] = sum[which];
        }
        tap_gradients(block, sums,
                      d.gradients[(first / kBlock * s.taps.taps + tap) * s.run_count + r]);
      });
}

template <typename T>
void differentiate(const Differentiate<T>& d) {
  if (d.grad_image.first) {
    differentiate_tile<true>(d);
  } else {
    differentiate_tile<false>(d);
  }
}
