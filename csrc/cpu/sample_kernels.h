// Bilinear sampling of a tile and its derivatives: taps are located with vector lanes over
// positions, pixels are read and written with vector lanes over channels. Included inside an
// instruction set's namespace. The convention is sampling.h's.

/// `sample_at` of sampling.h for kBlock positions, without branches.
template <typename T>
DCNBUILD_INLINE void locate_block(const Locate<T>& l, int64_t tap, const T* offsets,
                                  int64_t position, TapBlock<T>& block,
                                  TapFractions<T>* fractions) {
  const T *dy = offsets + position, *dx = dy + l.padded_positions, *mask = dx + l.padded_positions;
  const T *row = l.row + position, *column = l.column + position;
  const T tap_row = l.tap_row[tap], tap_column = l.tap_column[tap];
  const int32_t height = static_cast<int32_t>(l.height), width = static_cast<int32_t>(l.width);
  const T last_y = static_cast<T>(height), last_x = static_cast<T>(width);
  for (int lane = 0; lane < kBlock; ++lane) {
    const T y = row[lane] + tap_row + dy[lane];
    const T x = column[lane] + tap_column + dx[lane];
    const bool inside = (y > T(-1)) & (y < last_y) & (x > T(-1)) & (x < last_x);
    const bool nan = (y != y) | (x != x);
    // No NaN, infinity or huge number is converted to an integer.
    const T inside_y = inside ? y : T(0), inside_x = inside ? x : T(0);
    int32_t y0 = static_cast<int32_t>(inside_y + T(1)) - 1;
    int32_t x0 = static_cast<int32_t>(inside_x + T(1)) - 1;
    y0 -= static_cast<T>(y0) > inside_y;
    x0 -= static_cast<T>(x0) > inside_x;
    const T outside = nan ? y + x : T(0);
    const T ly = inside ? inside_y - static_cast<T>(y0) : outside;
    const T lx = inside ? inside_x - static_cast<T>(x0) : outside;
    const bool top = inside & (y0 >= 0), bottom = inside & (y0 + 1 < height);
    const bool left = x0 >= 0, right = x0 + 1 < width;
    const int32_t pixel = y0 * width + x0;
    block.pixel[0][lane] = top & left ? pixel : -1;
    block.pixel[1][lane] = top & right ? pixel + 1 : -1;
    block.pixel[2][lane] = bottom & left ? pixel + width : -1;
    block.pixel[3][lane] = bottom & right ? pixel + width + 1 : -1;
    const T m = mask[lane], hy = (T(1) - ly) * m, my = ly * m, hx = T(1) - lx;
    block.weight[0][lane] = hy * hx;
    block.weight[1][lane] = hy * lx;
    block.weight[2][lane] = my * hx;
    block.weight[3][lane] = my * lx;
    if (fractions) {
      fractions->ly[lane] = ly;
      fractions->lx[lane] = lx;
      fractions->mask[lane] = m;
    }
  }
}

template <typename T>
void locate(const Locate<T>& l) {
  const int64_t planes = l.taps * l.offset_groups;
  for (int64_t position = 0; position < l.positions; position += kBlock)
    for (int64_t plane = 0; plane < planes; ++plane) {
      const int64_t at = position / kBlock * planes + plane;
      locate_block(l, plane / l.offset_groups, l.offsets + plane * 3 * l.padded_positions, position,
                   l.blocks[at], l.fractions ? l.fractions + at : nullptr);
    }
}

/// The four neighbours of one sample and their weights.
template <typename T>
struct Corners {
  const T* pixel[4];
  T weight[4];
};

template <typename T>
DCNBUILD_INLINE Corners<T> corners_of(const Samples<T>& s, const TapBlock<T>& block, int lane,
                                      int64_t channel) {
  Corners<T> corners;
  for (int which = 0; which < 4; ++which) {
    const int64_t pixel = block.pixel[which][lane];
    corners.pixel[which] = (pixel < 0 ? s.zeros : s.image + pixel * s.pixel) + channel;
    corners.weight[which] = block.weight[which][lane];
  }
  return corners;
}

/// Calls body(position, lane, blocks of the position's taps, its row of columns) over a tile.
template <typename T, typename F>
DCNBUILD_INLINE void for_positions(const Samples<T>& s, const F& body) {
  const int64_t planes = s.taps * s.offset_groups;
  for (int64_t i = 0; i < s.positions; ++i)
    body(i, static_cast<int>(i % kBlock), s.blocks + i / kBlock * planes,
         s.columns + i * s.column_row);
}

/// column[c] for as many channels as fill vectors of `bytes`, then of half as many; returns the
/// first channel left.
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

/// columns = modulated samples of the tile (equation 1 of Zhu et al., Deformable ConvNets v2,
/// before the weights).
template <typename T>
void gather(const Samples<T>& s) {
  for_positions(s, [&](int64_t, int lane, const TapBlock<T>* blocks, T* row) {
    for (int64_t tap = s.first_tap; tap < s.last_tap; ++tap, row += s.column_tap)
      for (int64_t r = 0; r < s.run_count; ++r) {
        const Run run = s.runs[r];
        const auto at =
            corners_of(s, blocks[tap * s.offset_groups + run.offset_group], lane, run.begin);
        T* column = row + run.begin;
        for (int64_t c = gather_run<DCNBUILD_VECTOR_BYTES>(at, 0, run.count, column); c < run.count;
             ++c)
          column[c] = at.weight[0] * at.pixel[0][c] + at.weight[1] * at.pixel[1][c] +
                      at.weight[2] * at.pixel[2][c] + at.weight[3] * at.pixel[3][c];
      }
  });
}

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

/// The gradients of a tap's offset and mask for kBlock positions, from its neighbours' sums.
template <typename T>
DCNBUILD_INLINE void tap_gradients(const TapFractions<T>& f, const T (&sums)[4][kBlock],
                                   TapGradients<T>& out) {
  for (int lane = 0; lane < kBlock; ++lane) {
    const T tl = sums[0][lane], tr = sums[1][lane], bl = sums[2][lane], br = sums[3][lane];
    const T ly = f.ly[lane], lx = f.lx[lane], hy = T(1) - ly, hx = T(1) - lx, m = f.mask[lane];
    out.y[lane] = m * (hx * (bl - tl) + lx * (br - tr));
    out.x[lane] = m * (hy * (tr - tl) + ly * (br - bl));
    out.mask[lane] = hy * (hx * tl + lx * tr) + ly * (hx * bl + lx * br);
  }
}

template <bool scatter, typename T>
DCNBUILD_INLINE void differentiate_tile(const Differentiate<T>& d) {
  const Samples<T>& s = d.samples;
  const int64_t planes = s.taps * s.offset_groups;
  for (int64_t first = 0; first < s.positions; first += kBlock) {
    const int64_t block = first / kBlock, left = s.positions - first;
    const int lanes = left < kBlock ? static_cast<int>(left) : kBlock;
    for (int64_t tap = s.first_tap; tap < s.last_tap; ++tap)
      for (int64_t r = 0; r < s.run_count; ++r) {
        const Run run = s.runs[r];
        const int64_t plane = block * planes + tap * s.offset_groups + run.offset_group;
        T sums[4][kBlock] = {};
        for (int lane = 0; lane < lanes; ++lane) {
          const auto at = corners_of(s, s.blocks[plane], lane, run.begin);
          T* grad_pixel[4];
          for (int which = 0; which < 4; ++which) {
            const int64_t pixel = s.blocks[plane].pixel[which][lane];
            grad_pixel[which] =
                (pixel < 0 ? d.sink : d.grad_image + pixel * d.grad_pixel) + run.begin;
          }
          T* column = s.columns + (first + lane) * s.column_row +
                      (tap - s.first_tap) * s.column_tap + run.begin;
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
        tap_gradients(d.fractions[plane], sums,
                      d.gradients[(block * s.taps + tap) * s.run_count + r]);
      }
  }
}

template <typename T>
void differentiate(const Differentiate<T>& d) {
  if (d.grad_image) {
    differentiate_tile<true>(d);
  } else {
    differentiate_tile<false>(d);
  }
}
