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

/// `differentiate_vectors` for bfloat16, two vectors at a time. Gradients, of which there are two
/// as well, are in the order of `load_two`.
template <int bytes, bool points, bool scatter, typename Pixel, typename T>
DCNBUILD_INLINE int64_t differentiate_pairs(const Corners<T, Pixel>& at, T* const (&grad_pixel)[4],
                                            int64_t c, int64_t count, const T* gradient,
                                            T (&sums)[4]) {
  using V = Vector<T, bytes>;
  constexpr int lanes = kLanes<T, bytes>;
  if (c + 2 * lanes <= count) {
    V partial[4] = {};
    do {
      const V upstream[2] = {load<bytes>(gradient + c), load<bytes>(gradient + c + lanes)};
      for (int which = 0; which < 4; ++which) {
        if constexpr (points) {
          V pixel[2];
          load_two<bytes>(at.pixel[which] + c, pixel);
          partial[which] += upstream[0] * pixel[0];
          partial[which] += upstream[1] * pixel[1];
        }
        if constexpr (scatter)
          for (int i = 0; i < 2; ++i) {
            T* to = grad_pixel[which] + c + i * lanes;
            store<bytes>(to, load<bytes>(to) + at.weight[which] * upstream[i]);
          }
      }
      c += 2 * lanes;
    } while (c + 2 * lanes <= count);
    if constexpr (points)
      for (int which = 0; which < 4; ++which) sums[which] += sum_of_lanes<T, bytes>(partial[which]);
  }
  if constexpr (bytes > 16)
    c = differentiate_pairs<bytes / 2, points, scatter>(at, grad_pixel, c, count, gradient, sums);
  return c;
}

/// Lists a block's corners. Lanes past the last sample lie outside.
template <typename T>
DCNBUILD_INLINE void list_corners(const CornerList<T>& list, const TapBlock<T>& block,
                                  int64_t query, int64_t head, int64_t first) {
  CornerBlock<T>* to = list.first + head * list.head + query * list.query + 4 * (first / kBlock);
  for (int corner = 0; corner < 4; ++corner)
    for (int lane = 0; lane < kBlock; ++lane) {
      to[corner].pixel[lane] = static_cast<int32_t>(block.grad_pixel[corner][lane]);
      to[corner].weight[lane] = block.weight[corner][lane];
    }
}

/// What becomes of the value's gradient: nothing, a sum in memory, or a list of what to add.
enum class ValueSums { none, added, listed };

template <bool points, ValueSums sums_of_value, typename Pixel, typename T>
DCNBUILD_INLINE void attend_backward_as(const AttendBackward<T>& b) {
  const Attend<T>& a = b.forward;
  constexpr bool scatter = sums_of_value == ValueSums::added,
                 listed = sums_of_value == ValueSums::listed;
  for_point_blocks<true, points, scatter, Pixel>(
      a, scatter || listed ? b.grad_value : a.value,
      [&](int64_t query, int64_t head, int64_t first, int samples, const TapBlock<T>& block) {
        if constexpr (listed) list_corners(b.corners, block, query, head, first);
        if constexpr (!points && !scatter) return;
        const T* gradient = a.output + query * a.output_query + head * a.output_head;
        T sums[4][kBlock] = {};
        for (int lane = 0; lane < samples; ++lane) {
          const Corners<T, Pixel> at = corners_of<Pixel>(block, lane);
          T* grad_pixel[4];
          for (int which = 0; which < 4; ++which)
            grad_pixel[which] = pointer<T>(block.grad_pixel[which][lane]);
          T sum[4] = {};
          int64_t c = 0;
          constexpr int bytes = DCNBUILD_VECTOR_BYTES;
          if (__is_same(Pixel, BFloat16Bits) && a.channel == 1) {
            c = differentiate_pairs<bytes, points, scatter>(at, grad_pixel, 0, a.channels, gradient,
                                                            sum);
          } else if (a.channel == 1 || !points) {
            c = differentiate_vectors<bytes, points, scatter, false>(
                at, grad_pixel, 0, a.channels, gradient, static_cast<T*>(nullptr), sum);
          }
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

template <bool points, typename Pixel, typename T>
DCNBUILD_INLINE void attend_backward_with(const AttendBackward<T>& b) {
  if (b.corners.first) {
    attend_backward_as<points, ValueSums::listed, Pixel>(b);
  } else if (b.grad_value.first) {
    attend_backward_as<points, ValueSums::added, Pixel>(b);
  } else if constexpr (points) {
    attend_backward_as<true, ValueSums::none, Pixel>(b);
  }
}

template <typename Pixel, typename T>
void attend_backward(const AttendBackward<T>& b) {
  if (b.grad_locations || b.grad_weights) {
    attend_backward_with<true, Pixel>(b);
  } else {
    attend_backward_with<false, Pixel>(b);
  }
}
