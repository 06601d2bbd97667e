// The forward pass: weighted samples summed, with vector lanes over channels. Included inside an
// instruction set's namespace.

/// sums[c] += a block's samples, for as many channels as fill `vectors` vectors of `bytes`, then
/// fewer; returns the first channel left. Two sums for each vector, since one would wait for
/// itself.
template <int bytes, int vectors, typename Pixel, typename T>
DCNBUILD_INLINE int64_t attend_vectors(const TapBlock<T>& block, int samples, int64_t c,
                                       int64_t count, T* sums) {
  constexpr int lanes = kLanes<T, bytes>;
  for (; c + vectors * lanes <= count; c += vectors * lanes) {
    Vector<T, bytes> above[vectors], below[vectors];
    for (int v = 0; v < vectors; ++v) {
      above[v] = load<bytes>(sums + c + v * lanes);
      below[v] = Vector<T, bytes>{};
    }
    for (int lane = 0; lane < samples; ++lane) {
      const Corners<T, Pixel> at = corners_of<Pixel>(block, lane);
      for (int v = 0; v < vectors; ++v) {
        const auto pixel = [&](int which) {
          return load_as<bytes>(at.pixel[which] + c + v * lanes);
        };
        above[v] += at.weight[0] * pixel(0);
        above[v] += at.weight[1] * pixel(1);
        below[v] += at.weight[2] * pixel(2);
        below[v] += at.weight[3] * pixel(3);
      }
    }
    for (int v = 0; v < vectors; ++v) store<bytes>(sums + c + v * lanes, above[v] + below[v]);
  }
  if constexpr (vectors > 1) {
    c = attend_vectors<bytes, vectors / 2, Pixel>(block, samples, c, count, sums);
  } else if constexpr (bytes > 16) {
    c = attend_vectors<bytes / 2, 1, Pixel>(block, samples, c, count, sums);
  }
  return c;
}

/// Equation 3 of Zhu et al., Deformable DETR, without its projections.
template <typename Pixel, typename T>
void attend(const Attend<T>& a) {
  for_point_blocks<false>(
      a, a.value,
      [&](int64_t query, int64_t head, int64_t first, int samples, const TapBlock<T>& block) {
        T* sums = a.output + query * a.output_query + head * a.output_head;
        if (first == 0)
          for (int64_t c = 0; c < a.channels; ++c) sums[c] = 0;
        int64_t c = 0;
        if (a.channel == 1)
          c = attend_vectors<DCNBUILD_VECTOR_BYTES, 4, Pixel>(block, samples, 0, a.channels, sums);
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
