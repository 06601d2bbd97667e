// Where attention's samples lie: reading their locations and weights, and locating them with vector
// lanes over the samples of one query and head. Included inside an instruction set's namespace.

/// Takes pairs x, y that lie side by side apart.
template <typename From>
DCNBUILD_INLINE void split_pairs(const From* from, int64_t count, float* x, float* y) {
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const Vector<float, 16> a = load_word(from + 2 * i), b = load_word(from + 2 * i + 4);
    store<16>(x + i, DCNBUILD_SHUFFLE4(a, b, 0, 2, 4, 6));
    store<16>(y + i, DCNBUILD_SHUFFLE4(a, b, 1, 3, 5, 7));
  }
  for (; i < count; ++i) x[i] = value_of(from[2 * i]), y[i] = value_of(from[2 * i + 1]);
}

DCNBUILD_INLINE void split_pairs(const double* from, int64_t count, double* x, double* y) {
  for (int64_t i = 0; i < count; ++i) x[i] = from[2 * i], y[i] = from[2 * i + 1];
}

/// And puts them side by side.
DCNBUILD_INLINE void join_pairs(Vector<float, 16> x, Vector<float, 16> y, float* to) {
  store<16>(to, DCNBUILD_SHUFFLE4(x, y, 0, 4, 1, 5));
  store<16>(to + 4, DCNBUILD_SHUFFLE4(x, y, 2, 6, 3, 7));
}

/// `ReadPoints` for what lies in memory as From.
template <typename From, typename To>
void read_points(const ReadPoints<To>& r) {
  const PointView<const void>&l = r.locations, &w = r.weights;
  // A single run of points where the levels follow each other.
  const bool joined =
      (r.levels == 1 || (l.level == r.points * l.point && w.level == r.points * w.point));
  const int64_t levels = joined ? 1 : r.levels, points = joined ? r.levels * r.points : r.points;
  const bool pairs = l.axis == 1 && l.point == 2;
  To *y = r.y, *x = r.x, *weight = r.weight;
  for (int64_t query = 0; query < r.queries; ++query)
    for (int64_t head = 0; head < r.heads; ++head) {
      const From* location = static_cast<const From*>(l.data) + query * l.query + head * l.head;
      const From* from = static_cast<const From*>(w.data) + query * w.query + head * w.head;
      for (int64_t level = 0, at = 0; level < levels; ++level, at += points) {
        if (pairs) {
          split_pairs(location + level * l.level, points, x + at, y + at);
        } else {
          for (int64_t i = 0; i < points; ++i) {
            const From* pair = location + level * l.level + i * l.point;
            x[at + i] = value_of(pair[0]), y[at + i] = value_of(pair[l.axis]);
          }
        }
        const From* weights = from + level * w.level;
        int64_t i = 0;
        if (w.point == 1)
          for (; i + kWord<To> <= points; i += kWord<To>)
            store_word(weight + at + i, load_word(weights + i));
        for (; i < points; ++i) weight[at + i] = value_of(weights[i * w.point]);
      }
      y += r.padded, x += r.padded, weight += r.padded;
    }
}

/// Coordinates of several samples: `pixel_coordinate` of geometry.h.
template <typename T>
DCNBUILD_INLINE typename Axis<T>::V pixel_coordinates(const T* locations, const T* scales,
                                                      T shift) {
  constexpr int bytes = sizeof(typename Axis<T>::V);
  return rounded(load<bytes>(locations) * load<bytes>(scales)) + shift;
}

/// Locates kBlock samples of a head, those from `sample` on, whose points are `at`[sample].
template <bool gradients, typename T>
DCNBUILD_INLINE void locate_points(const Attend<T>& a, const LevelPixels& gradient, int64_t query,
                                   int64_t head, int64_t at, int64_t sample, TapBlock<T>& block) {
  using V = typename Axis<T>::V;
  using I = typename Axis<T>::I;
  for (int lane = 0; lane < kBlock; lane += kLocated<T>) {
    const int64_t i = sample + lane, point = at + i;
    const auto integers = [&](const int32_t* of) { return load<sizeof(I)>(of + i); };
    const ImageAt<I> image{integers(a.levels.height), integers(a.levels.width),
                           integers(a.levels.start)};
    const auto addresses = [&](const LevelPixels& pixels) {
      return PixelAddresses<const int64_t*>{
          reinterpret_cast<int64_t>(pixels.first) + head * pixels.head,
          reinterpret_cast<int64_t>(pixels.outside), pixels.step, pixels.row + i};
    };
    locate_samples<gradients>(
        pixel_coordinates(a.y + point, a.levels.scale_y + i, a.shift_y[query]),
        pixel_coordinates(a.x + point, a.levels.scale_x + i, a.shift_x[query]),
        load<sizeof(V)>(a.weight + point), image, lane, addresses(a.value),
        addresses(gradients ? gradient : a.value), block);
  }
}

/// Has pixels of so many bytes on their way from memory, to be read or to be added to: their first
/// two cache lines at most, which are all channels of most heads.
template <int write>
DCNBUILD_INLINE void fetch_ahead(const int64_t (&pixels)[4][kBlock], int64_t bytes) {
  constexpr int line = 64;
  for (int corner = 0; corner < 4; ++corner)
    for (int lane = 0; lane < kBlock; ++lane)
      __builtin_prefetch(pointer<const char>(pixels[corner][lane]), write);
  if (bytes <= line) return;
  for (int corner = 0; corner < 4; ++corner)
    for (int lane = 0; lane < kBlock; ++lane)
      __builtin_prefetch(pointer<const char>(pixels[corner][lane]) + line, write);
}

/// Calls body(query, head, first sample, samples, block) for every kBlock samples of every query
/// and head, which reads the value's pixels (`reads`), adds to those of its gradient (`adds`), or
/// both. A block is located one ahead, so that what was stored as vectors is not read back as
/// scalars at once.
template <bool gradients, bool reads, bool adds, typename Pixel, typename T, typename F>
DCNBUILD_INLINE void for_point_blocks(const Attend<T>& a, const LevelPixels& gradient,
                                      const F& body) {
  TapBlock<T> blocks[2];
  int64_t query = 0, head = 0, sample = 0, at = 0;  // of the block that is located next
  const auto locate = [&](TapBlock<T>& block) {
    locate_points<gradients>(a, gradient, query, head, at, sample, block);
    sample += kBlock;
    if (sample < a.levels.padded) return;
    sample = 0, at += a.levels.padded;
    if (++head == a.heads) head = 0, ++query;
  };
  const int64_t pixel = a.channels * static_cast<int64_t>(sizeof(Pixel)),
                grad_pixel = a.channels * static_cast<int64_t>(sizeof(T));
  locate(blocks[0]);
  const int64_t count = a.queries * a.heads * (a.levels.padded / kBlock);
  for (int64_t i = 0, q = 0, m = 0, first = 0; i < count; ++i) {
    if (i + 1 < count) {
      TapBlock<T>& next = blocks[(i + 1) & 1];
      locate(next);
      if constexpr (reads) fetch_ahead<0>(next.pixel, pixel);
      if constexpr (adds) fetch_ahead<1>(next.grad_pixel, grad_pixel);
    }
    const int64_t left = a.levels.samples - first;
    body(q, m, first, left < kBlock ? static_cast<int>(left) : kBlock, blocks[i & 1]);
    first += kBlock;
    if (first < a.levels.padded) continue;
    first = 0;
    if (++m == a.heads) m = 0, ++q;
  }
}

/// From one channel to the next of each neighbour. One pixel stands for all outside: a single zero,
/// where channels do not lie side by side.
template <typename T, typename Pixel>
DCNBUILD_INLINE void channel_steps(const Attend<T>& a, const Corners<T, Pixel>& at,
                                   int64_t (&steps)[4]) {
  for (int which = 0; which < 4; ++which)
    steps[which] = at.pixel[which] == a.value.outside ? 0 : a.channel;
}
