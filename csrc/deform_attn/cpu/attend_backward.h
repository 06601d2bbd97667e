// The backward pass, with vector lanes over channels. Included inside an instruction set's
// namespace.

/// Writes the gradients of a block's locations and weights; those of locations are those of its
/// positions, scaled.
template <typename T>
DCNBUILD_INLINE void store_point_gradients(const AttendBackward<T>& b, const TapGradients<T>& grad,
                                           int64_t at, int64_t first, int samples) {
  constexpr int bytes = sizeof(typename Axis<T>::V);
  const SampleLevels<T>& levels = b.forward.levels;
  T x[kBlock], y[kBlock];
  for (int lane = 0; lane < kBlock; lane += kLocated<T>) {
    const int64_t i = first + lane;
    store<bytes>(x + lane, load<bytes>(grad.x + lane) * load<bytes>(levels.scale_x + i));
    store<bytes>(y + lane, load<bytes>(grad.y + lane) * load<bytes>(levels.scale_y + i));
  }
  if (b.grad_locations)
    for (int lane = 0; lane < samples; ++lane) {
      T* pair = b.grad_locations + 2 * (at + lane);
      pair[0] = x[lane], pair[1] = y[lane];
    }
  if (b.grad_weights)
    for (int lane = 0; lane < samples; ++lane) b.grad_weights[at + lane] = grad.mask[lane];
}

template <bool points, bool scatter, typename Pixel, typename T>
DCNBUILD_INLINE void attend_backward_as(const AttendBackward<T>& b) {
  const Attend<T>& a = b.forward;
  for_point_blocks<true>(
      a, scatter ? b.grad_value : a.value,
      [&](int64_t query, int64_t head, int64_t first, int samples, const TapBlock<T>& block) {
        const T* gradient = a.output + query * a.output_query + head * a.output_head;
        T sums[4][kBlock] = {};
        for (int lane = 0; lane < samples; ++lane) {
          const Corners<T, Pixel> at = corners_of<Pixel>(block, lane);
          T* grad_pixel[4];
          for (int which = 0; which < 4; ++which)
            grad_pixel[which] = pointer<T>(block.grad_pixel[which][lane]);
          T sum[4] = {};
          int64_t c = 0;
          if (a.channel == 1 || !points)
            c = differentiate_vectors<DCNBUILD_VECTOR_BYTES, points, scatter, false>(
                at, grad_pixel, 0, a.channels, gradient, static_cast<T*>(nullptr), sum);
          if (c < a.channels) {
            int64_t steps[4];
            channel_steps(a, at, steps);
            differentiate_scalars<points, scatter, false>(at, steps, grad_pixel, c, a.channels,
                                                          gradient, static_cast<T*>(nullptr), sum);
          }
          for (int which = 0; which < 4; ++which) sums[which][lane] = sum[which];
        }
        if constexpr (points) {
          TapGradients<T> gradients;
          tap_gradients(block, sums, gradients);
          store_point_gradients(b, gradients, query * b.query + head * a.levels.samples + first,
                                first, samples);
        }
      });
}

template <typename Pixel, typename T>
void attend_backward(const AttendBackward<T>& b) {
  const bool points = b.grad_locations || b.grad_weights, scatter = b.grad_value.first;
  if (points && scatter) {
    attend_backward_as<true, true, Pixel>(b);
  } else if (points) {
    attend_backward_as<true, false, Pixel>(b);
  } else {
    attend_backward_as<false, true, Pixel>(b);
  }
}
