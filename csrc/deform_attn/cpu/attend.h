// The forward pass: weighted samples summed, with vector lanes over channels. Included inside an
// instruction set's namespace.

/// sums[c] += a block's samples, for as many channels as fill `pairs` pairs of vectors of `bytes`,
/// then fewer; returns the first channel left. Two sums for each vector, since one would wait for
/// itself.
template <int bytes, int pairs, typename Pixel, typename T>
DCNBUILD_INLINE int64_t attend_pairs(const TapBlock<T>& block, int samples, int64_t c,
                                     int64_t count, T* sums) {
  using V = Vector<T, bytes>;
  constexpr int lanes = kLanes<T, bytes>;
  for (; c + 2 * pairs * lanes <= count; c += 2 * pairs * lanes) {
    V above[pairs][2] = {}, below[pairs][2] = {};
    for (int lane = 0; lane < samples; ++lane) {
      const Corners<T, Pixel> at = corners_of<Pixel>(block, lane);
      for (int pair = 0; pair < pairs; ++pair)
        for (int which = 0; which < 4; ++which) {
          V pixel[2];
          load_two<bytes>(at.pixel[which] + c + 2 * pair * lanes, pixel);
          auto& sum = which < 2 ? above[pair] : below[pair];
          sum[0] += at.weight[which] * pixel[0];
          sum[1] += at.weight[which] * pixel[1];
        }
    }
    for (int pair = 0; pair < pairs; ++pair) {
      const V sum[2] = {above[pair][0] + below[pair][0], above[pair][1] + below[pair][1]};
      add_two<bytes, Pixel>(sums + c + 2 * pair * lanes, sum);
    }
  }
  if constexpr (pairs > 1) {
    c = attend_pairs<bytes, pairs / 2, Pixel>(block, samples, c, count, sums);
  } else if constexpr (bytes > 16) {
    c = attend_pairs<bytes / 2, 1, Pixel>(block, samples, c, count, sums);
  } else if (c + lanes <= count) {
    V sum = load<bytes>(sums + c);
    for (int lane = 0; lane < samples; ++lane) {
      const Corners<T, Pixel> at = corners_of<Pixel>(block, lane);
      for (int which = 0; which < 4; ++which)
        sum += at.weight[which] * load_as<bytes>(at.pixel[which] + c);
    }
    store<bytes>(sums + c, sum);
    c += lanes;
  }
  return c;
}

/// Equation 3 of Zhu et al., Deformable DETR, without its projections.
template <typename Pixel, typename T>
void attend(const Attend<T>& a) {
  for_point_blocks<false, true, false, Pixel>(
      a, a.value,
      [&](int64_t query, int64_t head, int64_t first, int samples, const TapBlock<T>& block) {
        T* sums = a.output + query * a.output_query + head * a.output_head;
        if (first == 0)
          for (int64_t c = 0; c < a.channels; ++c) sums[c] = 0;
        int64_t c = 0;
        if (a.channel == 1)
          c = attend_pairs<DCNBUILD_VECTOR_BYTES, 2, Pixel>(block, samples, 0, a.channels, sums);
        if (c == a.channels) return;
        for (int lane = 0; lane < samples; ++lane) {
          const Corners<T, Pixel> at = corners_of<Pixel>(block, lane);
          int64_t steps[4];
          channel_steps(a, at, steps);
          for (int64_t i = c; i < a.channels; ++i)
            for (int which = 0; which < 4; ++which)
              sums[i] += at.weight[which] * value_of(at.pixel[which][i * steps[which]]);
        }
      });
}
