// Bilinear sampling of a tile into columns, with vector lanes over channels. Included inside an
// instruction set's namespace.

template <typename T, typename Pixel, typename Column>
DCNBUILD_INLINE Column* column_of(const Samples<T, Pixel, Column>& s, int64_t position, int64_t tap,
                                  const Run& run) {
  return s.columns + position * s.column_row + (tap - s.first_tap) * s.column_tap + run.column;
}

/// Computes column[c] for the channels that fill vectors of `bytes`, then of half as many; returns
/// the first channel that is left.
template <int bytes, typename T>
DCNBUILD_INLINE int64_t gather_run(const Corners<T>& at, int64_t c, int64_t count, T* column) {
  for (; c + kLanes<T, bytes> <= count; c += kLanes<T, bytes>) {
    Vector<T, bytes> sum = at.weight[0] * load<bytes>(at.pixel[0] + c);
    for (int which = 1; which < 4; ++which)
      sum += at.weight[which] * load<bytes>(at.pixel[which] + c);
    store<bytes>(column + c, sum);
  }
  if constexpr (bytes > 16) c = gather_run<bytes / 2>(at, c, count, column);
  return c;
}

/// Computes the columns of a block of positions for one tap. `fixed` is the number of channels if
/// the compiler shall unroll the code of a sample, else 0.
template <int64_t fixed, typename T>
DCNBUILD_INLINE void gather_block(const TapBlock<T>& block, int positions, int64_t channels,
                                  T* column, int64_t column_row) {
  const int64_t count = fixed ? fixed : channels;
  for (int lane = 0; lane < positions; ++lane, column += column_row) {
    const Corners<T> at = corners_of<T>(block, lane);
    int64_t c = gather_run<DCNBUILD_VECTOR_BYTES>(at, 0, count, column);
    for (; c < count; ++c)
      column[c] = at.weight[0] * at.pixel[0][c] + at.weight[1] * at.pixel[1][c] +
                  at.weight[2] * at.pixel[2][c] + at.weight[3] * at.pixel[3][c];
  }
}

/// The same for the channels that fill pairs of vectors, with pixels and columns in a half type:
/// summed in float, and rounded once.
template <int bytes, typename Half>
DCNBUILD_INLINE int64_t gather_pairs(const Corners<float, Half>& at, int64_t c, int64_t count,
                                     Half* column) {
  using V = Vector<float, bytes>;
  constexpr int lanes = kLanes<float, bytes>;
  for (; c + 2 * lanes <= count; c += 2 * lanes) {
    V sums[2] = {};
    for (int which = 0; which < 4; ++which) {
      V pixel[2];
      load_two<bytes>(at.pixel[which] + c, pixel);
      sums[0] += at.weight[which] * pixel[0];
      sums[1] += at.weight[which] * pixel[1];
    }
    store_two<bytes>(column + c, sums);
  }
  return c;
}

/// And for those that fill vectors of `bytes`, then of half as many.
template <int bytes, typename Half, typename Column>
DCNBUILD_INLINE int64_t gather_rest(const Corners<float, Half>& at, int64_t c, int64_t count,
                                    Column* column) {
  for (; c + kLanes<float, bytes> <= count; c += kLanes<float, bytes>) {
    Vector<float, bytes> sum = at.weight[0] * load_as<bytes>(at.pixel[0] + c);
    for (int which = 1; which < 4; ++which)
      sum += at.weight[which] * load_as<bytes>(at.pixel[which] + c);
    store_as<bytes>(column + c, sum);
  }
  if constexpr (bytes > 16) c = gather_rest<bytes / 2>(at, c, count, column);
  return c;
}

template <int64_t fixed, typename Half, typename Column>
DCNBUILD_INLINE void gather_half_block(const TapBlock<float>& block, int positions,
                                       int64_t channels, Column* column, int64_t column_row) {
  const int64_t count = fixed ? fixed : channels;
  for (int lane = 0; lane < positions; ++lane, column += column_row) {
    const Corners<float, Half> at = corners_of<Half>(block, lane);
    int64_t c = 0;
    if constexpr (__is_same(Column, Half))
      c = gather_pairs<DCNBUILD_VECTOR_BYTES>(at, 0, count, column);
    c = gather_rest<DCNBUILD_VECTOR_BYTES>(at, c, count, column);
    for (; c < count; ++c) {
      float sum = at.weight[0] * value_of(at.pixel[0][c]);
      for (int which = 1; which < 4; ++which)
        sum += at.weight[which] * value_of(at.pixel[which][c]);
      store_part(column + c, load_part(&sum, 1, 1), 1);
    }
  }
}

/// `gather` for pixels in a half type, and columns in that type or in float. A half type's may be
/// given as bits.
template <typename Half, typename Column, typename Given>
void gather_halves(const Samples<float, uint16_t, Given>& s) {
  constexpr int64_t few = kLanes<float, 32>;
  for_tap_blocks<false>(
      s, {},
      [&](int64_t first, int positions, int64_t tap, int64_t r, const TapBlock<float>& block) {
        const Run run = s.runs[r];
        Column* column = reinterpret_cast<Column*>(column_of(s, first, tap, run));
        if (run.count == few)
          gather_half_block<few, Half>(block, positions, few, column, s.column_row);
        else
          gather_half_block<0, Half>(block, positions, run.count, column, s.column_row);
      });
}

/// columns = modulated samples of the tile (equation 1 of Zhu et al., Deformable ConvNets v2,
/// before the weights).
template <typename T>
void gather(const Samples<T>& s) {
  constexpr int64_t few = kLanes<T, 32>;
  for_tap_blocks<false>(
      s, {}, [&](int64_t first, int positions, int64_t tap, int64_t r, const TapBlock<T>& block) {
        const Run run = s.runs[r];
        T* column = column_of(s, first, tap, run);
        if (run.count == few)
          gather_block<few>(block, positions, few, column, s.column_row);
        else
          gather_block<0>(block, positions, run.count, column, s.column_row);
      });
}
