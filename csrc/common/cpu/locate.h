// Locates bilinear samples and their four neighbours, with vector lanes over samples, and computes
// their gradients. Included inside an instruction set's namespace. The convention is sampling.h's.

/// kBlock samples: the addresses of their four neighbours (top left, top right, bottom left, bottom
/// right) in the image and in its gradient, the neighbours' bilinear weights times the mask, the
/// distances from the top left neighbour, and the mask.
template <typename T>
struct TapBlock {
  int64_t pixel[4][kBlock], grad_pixel[4][kBlock];
  T weight[4][kBlock];
  T ly[kBlock], lx[kBlock], mask[kBlock];
  T counts[kBlock];  // 0 outside, where offset and mask have zero gradients; else 1
};

template <typename T>
DCNBUILD_INLINE T* pointer(int64_t address) {
  return reinterpret_cast<T*>(address);
}

/// The number of positions that one vector locates.
template <typename T>
constexpr int kLocated = kLanes<T> < kBlock ? kLanes<T> : kBlock;

/// One coordinate of several samples.
template <typename T>
struct Axis {
  using V = Vector<T, kLocated<T> * sizeof(T)>;
  using I = Vector<int32_t, kLocated<T> * sizeof(int32_t)>;
  V distance;  // from the neighbour before, in [0, 1]; NaN outside if the position is NaN
  I before;    // that neighbour, -1 to size - 1
  I has_before, has_after;  // whether it and the next neighbour lie in the image
};

/// The whole number at or below a position; the position is greater than -1 and fits an integer.
template <typename T>
DCNBUILD_INLINE typename Axis<T>::I floor_of(typename Axis<T>::V position) {
  using V = typename Axis<T>::V;
  using I = typename Axis<T>::I;
  const I whole = __builtin_convertvector(position, I);
  // Truncation is floor, except between -1 and 0.
  return whole + __builtin_convertvector(__builtin_convertvector(whole, V) > position, I);
}

/// `sample_at` of sampling.h for one axis. `inside` and `wide_inside` say, in lanes of two widths,
/// that both coordinates are inside.
template <typename T, typename Condition, typename Side>
DCNBUILD_INLINE Axis<T> axis_at(typename Axis<T>::V position, typename Axis<T>::I before,
                                typename Axis<T>::I inside, Condition wide_inside,
                                typename Axis<T>::V outside, Side size) {
  using V = typename Axis<T>::V;
  return {choose(wide_inside, position - __builtin_convertvector(before, V), outside), before,
          inside & (before >= 0), inside & (before + 1 < size)};
}

/// The same in fewer steps, if every sample has both neighbours in the image, as most have.
template <typename T>
DCNBUILD_INLINE Axis<T> interior_axis(typename Axis<T>::V position) {
  using I = typename Axis<T>::I;
  const I before = __builtin_convertvector(position, I);
  return {position - __builtin_convertvector(before, typename Axis<T>::V), before, ~I{}, ~I{}};
}

/// The image of a sample: its sides, and the index of its first pixel from the base of the
/// addresses. Numbers, or vectors if every lane has an image of its own.
template <typename Side>
struct ImageAt {
  Side height, width, start;
};

/// The addresses of an image's pixels, as numbers for vector arithmetic.
template <typename Row>
struct PixelAddresses {
  int64_t first;    // address of the first pixel
  int64_t outside;  // address of the pixel that replaces every pixel outside
  int64_t step;     // bytes from one pixel to the next
  Row row;          // bytes from one row to the next, or a pointer to one number for each lane
};

template <typename T>
DCNBUILD_INLINE T side_as(int32_t side) {
  return static_cast<T>(side);
}
template <typename T>
DCNBUILD_INLINE typename Axis<T>::V side_as(typename Axis<T>::I side) {
  return __builtin_convertvector(side, typename Axis<T>::V);
}

/// One vector's share of the addresses of the samples that are located together.
template <typename T>
using Addresses =
    Vector<int64_t, (kLanes<int64_t> < kLocated<T> ? kLanes<int64_t> : kLocated<T>)*8>;

/// The lanes from `lane` on of a vector of 32-bit numbers, extended with their sign.
template <typename T>
DCNBUILD_INLINE Addresses<T> widened_lanes(const typename Axis<T>::I& from, int lane) {
  constexpr int bytes = sizeof(Addresses<T>) / 2;
  int32_t lanes[kLocated<T>];
  store<sizeof(from)>(lanes, from);
  return widened<Addresses<T>>(load<bytes>(lanes + lane));
}

template <typename T>
DCNBUILD_INLINE Addresses<T> row_bytes_of(const int64_t* rows, int lane) {
  return load<sizeof(Addresses<T>)>(rows + lane);
}
template <typename T>
DCNBUILD_INLINE int64_t row_bytes_of(int64_t row, int) {
  return row;
}

/// Addresses of the neighbours of several samples.
template <typename T, typename Side, typename Row>
DCNBUILD_INLINE void address_neighbours(const Axis<T>& row, const Axis<T>& column,
                                        const ImageAt<Side>& image, const PixelAddresses<Row>& at,
                                        int lane, int64_t (&pixel)[4][kBlock]) {
  using A = Addresses<T>;
  using I = typename Axis<T>::I;
  const I index = row.before * image.width + column.before + image.start;
  const I inside[4] = {row.has_before & column.has_before, row.has_before & column.has_after,
                       row.has_after & column.has_before, row.has_after & column.has_after};
  // With 64 bits for a lane, all lanes exceed one vector, which compilers split lane by lane.
  for (int i = 0; i < kLocated<T>; i += kLanes<int64_t, sizeof(A)>) {
    const A first = widened_lanes<T>(index, i) * at.step + at.first;
    const A below = first + row_bytes_of<T>(at.row, i);
    const A addresses[4] = {first, first + at.step, below, below + at.step};
    for (int corner = 0; corner < 4; ++corner) {
      const A valid = widened_lanes<T>(inside[corner], i);
      store<sizeof(A)>(pixel[corner] + lane + i,
                       (addresses[corner] & valid) | (at.outside & ~valid));
    }
  }
}

/// Stores the weights and addresses of several located samples.
template <bool gradients, typename T, typename Side, typename Row>
DCNBUILD_INLINE void store_taps(const Axis<T>& row, const Axis<T>& column,
                                const typename Axis<T>::V& mask, const ImageAt<Side>& at, int lane,
                                const typename Axis<T>::V& counts, const PixelAddresses<Row>& image,
                                const PixelAddresses<Row>& grad_image, TapBlock<T>& block) {
  using V = typename Axis<T>::V;
  constexpr int bytes = sizeof(V);
  address_neighbours(row, column, at, image, lane, block.pixel);
  const V above = (T(1) - row.distance) * mask, below = row.distance * mask;
  const V left = T(1) - column.distance, right = column.distance;
  const V weights[4] = {above * left, above * right, below * left, below * right};
  for (int corner = 0; corner < 4; ++corner)
    store<bytes>(block.weight[corner] + lane, weights[corner]);
  if constexpr (gradients) {
    address_neighbours(row, column, at, grad_image, lane, block.grad_pixel);
    store<bytes>(block.ly + lane, row.distance);
    store<bytes>(block.lx + lane, column.distance);
    store<bytes>(block.mask + lane, mask);
    store<bytes>(block.counts + lane, counts);
  }
}

/// Locates the samples at (y, x) of images, as the block's samples from `lane` on.
template <bool gradients, typename T, typename Side, typename Row>
DCNBUILD_INLINE void locate_samples(const typename Axis<T>::V& y, const typename Axis<T>::V& x,
                                    const typename Axis<T>::V& mask, const ImageAt<Side>& at,
                                    int lane, const PixelAddresses<Row>& image,
                                    const PixelAddresses<Row>& grad_image, TapBlock<T>& block) {
  using V = typename Axis<T>::V;
  using I = typename Axis<T>::I;
  const auto interior =
      (y >= T(0)) & (y < side_as<T>(at.height - 1)) & (x >= T(0)) & (x < side_as<T>(at.width - 1));
  if (all_lanes(interior)) {
    store_taps<gradients>(interior_axis<T>(y), interior_axis<T>(x), mask, at, lane, V{} + T(1),
                          image, grad_image, block);
    return;
  }
  // These comparisons let no NaN, infinity or huge number be converted to an integer.
  constexpr T limit = static_cast<T>(kSideLimit);
  auto placed = (y > T(-1)) & (y < limit) & (x > T(-1)) & (x < limit);
  const V valid_y = choose(placed, y, V{}), valid_x = choose(placed, x, V{});
  const I y0 = floor_of<T>(valid_y), x0 = floor_of<T>(valid_x);
  const I inside = __builtin_convertvector(placed, I) & (y0 < at.height) & (x0 < at.width);
  const auto wide_inside = __builtin_convertvector(inside, decltype(placed));
  const auto lost = (y != y) | (x != x);
  const V outside = choose(lost, y + x, V{});
  store_taps<gradients>(axis_at<T>(valid_y, y0, inside, wide_inside, outside, at.height),
                        axis_at<T>(valid_x, x0, inside, wide_inside, outside, at.width), mask, at,
                        lane, choose(wide_inside | lost, V{} + T(1), V{}), image, grad_image,
                        block);
}

/// The four neighbours of one sample and their weights.
template <typename T, typename Pixel = T>
struct Corners {
  const Pixel* pixel[4];
  T weight[4];
};

template <typename Pixel, typename T>
DCNBUILD_INLINE Corners<T, Pixel> corners_of(const TapBlock<T>& block, int lane) {
  Corners<T, Pixel> corners;
  for (int which = 0; which < 4; ++which) {
    corners.pixel[which] = pointer<const Pixel>(block.pixel[which][lane]);
    corners.weight[which] = block.weight[which][lane];
  }
  return corners;
}

/// Computes the gradients of a block's positions and masks from its neighbours' sums of
/// gradient * pixel, like sampling.h.
template <typename T>
DCNBUILD_INLINE void tap_gradients(const TapBlock<T>& f, const T (&sums)[4][kBlock],
                                   TapGradients<T>& out) {
  using V = typename Axis<T>::V;
  constexpr int bytes = sizeof(V);
  for (int lane = 0; lane < kBlock; lane += kLocated<T>) {
    const V tl = load<bytes>(sums[0] + lane), tr = load<bytes>(sums[1] + lane),
            bl = load<bytes>(sums[2] + lane), br = load<bytes>(sums[3] + lane);
    const V ly = load<bytes>(f.ly + lane), lx = load<bytes>(f.lx + lane),
            m = load<bytes>(f.mask + lane);
    const V hy = T(1) - ly, hx = T(1) - lx;
    const V above = hx * tl + lx * tr, below = hx * bl + lx * br;
    const auto counts = load<bytes>(f.counts + lane) != V{};
    store<bytes>(out.y + lane, choose(counts, m * below - m * above, V{}));
    store<bytes>(out.x + lane,
                 choose(counts, (hy * m * tr + ly * m * br) - (hy * m * tl + ly * m * bl), V{}));
    store<bytes>(out.mask + lane, choose(counts, hy * above + ly * below, V{}));
  }
}

/// Works on the channels that fill vectors of `bytes`, then of half as many. If `points`, it adds
/// gradient * neighbour to the sums. If `scatter`, it adds gradient * weight to the neighbours'
/// gradients. If `columns`, it stores the sample's value in `column`, which may be `gradient`.
/// Returns the first channel that is left.
template <int bytes, bool points, bool scatter, bool columns, typename Pixel, typename T>
DCNBUILD_INLINE int64_t differentiate_vectors(const Corners<T, Pixel>& at,
                                              T* const (&grad_pixel)[4], int64_t c, int64_t count,
                                              const T* gradient, T* column, T (&sums)[4]) {
  if (c + kLanes<T, bytes> <= count) {
    Vector<T, bytes> partial[4] = {};
    do {
      const Vector<T, bytes> upstream = load<bytes>(gradient + c);
      Vector<T, bytes> value = {};
      for (int which = 0; which < 4; ++which) {
        if constexpr (points || columns) {
          const Vector<T, bytes> pixel = load_as<bytes>(at.pixel[which] + c);
          if constexpr (columns) value += at.weight[which] * pixel;
          if constexpr (points) partial[which] += upstream * pixel;
        }
        if constexpr (scatter) {
          T* to = grad_pixel[which] + c;
          store<bytes>(to, load<bytes>(to) + at.weight[which] * upstream);
        }
      }
      if constexpr (columns) store<bytes>(column + c, value);
      c += kLanes<T, bytes>;
    } while (c + kLanes<T, bytes> <= count);
    if constexpr (points)
      for (int which = 0; which < 4; ++which) sums[which] += sum_of_lanes<T, bytes>(partial[which]);
  }
  if constexpr (bytes > 16)
    c = differentiate_vectors<bytes / 2, points, scatter, columns>(at, grad_pixel, c, count,
                                                                   gradient, column, sums);
  return c;
}

/// The same for the channels from c on, one by one; neighbour i's channels lie `steps[i]` apart.
template <bool points, bool scatter, bool columns, typename Pixel, typename T>
DCNBUILD_INLINE void differentiate_scalars(const Corners<T, Pixel>& at, const int64_t (&steps)[4],
                                           T* const (&grad_pixel)[4], int64_t c, int64_t count,
                                           const T* gradient, T* column, T (&sums)[4]) {
  for (; c < count; ++c) {
    const T upstream = gradient[c];
    T value = 0;
    for (int which = 0; which < 4; ++which) {
      if constexpr (points || columns) {
        const T pixel = value_of(at.pixel[which][c * steps[which]]);
        if constexpr (columns) value += at.weight[which] * pixel;
        if constexpr (points) sums[which] += upstream * pixel;
      }
      if constexpr (scatter) grad_pixel[which][c] += at.weight[which] * upstream;
    }
    if constexpr (columns) column[c] = value;
  }
}
