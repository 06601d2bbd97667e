// Where the taps of a tile fall: samples are located with vector lanes over positions. Included
// inside an instruction set's namespace. The convention is sampling.h's.

/// Where a run's first channel lies in an image's pixels, as numbers for vectors to calculate with.
struct PixelAddresses {
  int64_t first;    // address of the image's first pixel
  int64_t outside;  // address of what stands for every pixel outside
  int64_t step;     // bytes from one pixel to the next

  template <typename T>
  static DCNBUILD_INLINE PixelAddresses of(const Pixels<T>& pixels, const Run& run) {
    const bool dense = pixels.run_pixels != 0;
    return {reinterpret_cast<int64_t>(pixels.first + run.begin * (dense ? pixels.run_pixels : 1)),
            reinterpret_cast<int64_t>(pixels.outside),
            (dense ? run.count : pixels.step) * static_cast<int64_t>(sizeof(T))};
  }
};

/// One tap of one run of channels at kBlock positions: the addresses of its four neighbours (top
/// left, top right, bottom left, bottom right) in the image and in its gradient, their bilinear
/// weights times the mask, the distances from the top left one and the mask.
template <typename T>
struct TapBlock {
  int64_t pixel[4][kBlock], grad_pixel[4][kBlock];
  T weight[4][kBlock];
  T ly[kBlock], lx[kBlock], mask[kBlock];
  T counts[kBlock];  // 0 for a sample outside, which passes nothing on to offset and mask; else 1
};

template <typename T>
DCNBUILD_INLINE T* pointer(int64_t address) {
  return reinterpret_cast<T*>(address);
}

/// Positions located by one vector.
template <typename T>
constexpr int kLocated = kLanes<T> < kBlock ? kLanes<T> : kBlock;

/// One coordinate of several samples.
template <typename T>
struct Axis {
  using V = Vector<T, kLocated<T> * sizeof(T)>;
  using I = Vector<int32_t, kLocated<T> * sizeof(int32_t)>;
  V distance;  // from the neighbour before, in [0, 1]; NaN outside if the position is NaN
  I before;    // that neighbour, -1 to size - 1
  I has_before, has_after;  // whether it and the next lie in the image
};

/// The whole number at or below a position that is greater than -1 and fits.
template <typename T>
DCNBUILD_INLINE typename Axis<T>::I floor_of(typename Axis<T>::V position) {
  using V = typename Axis<T>::V;
  using I = typename Axis<T>::I;
  const I whole = __builtin_convertvector(position, I);
  // Truncation is floor, but for what lies between -1 and 0.
  return whole + __builtin_convertvector(__builtin_convertvector(whole, V) > position, I);
}

/// `sample_at` of sampling.h for one axis; `inside` says that both are, in either width of lanes.
template <typename T, typename Condition>
DCNBUILD_INLINE Axis<T> axis_at(typename Axis<T>::V position, typename Axis<T>::I before,
                                typename Axis<T>::I inside, Condition wide_inside,
                                typename Axis<T>::V outside, int32_t size) {
  using V = typename Axis<T>::V;
  return {choose(wide_inside, position - __builtin_convertvector(before, V), outside), before,
          inside & (before >= 0), inside & (before + 1 < size)};
}

/// The same where every sample has both neighbours in the image: most of them, and in fewer steps.
template <typename T>
DCNBUILD_INLINE Axis<T> interior_axis(typename Axis<T>::V position) {
  using I = typename Axis<T>::I;
  const I before = __builtin_convertvector(position, I);
  return {position - __builtin_convertvector(before, typename Axis<T>::V), before, ~I{}, ~I{}};
}

/// Addresses of the neighbours of several samples.
template <typename T>
DCNBUILD_INLINE void address_neighbours(const Axis<T>& row, const Axis<T>& column, int64_t width,
                                        const PixelAddresses& at, int lane,
                                        int64_t (&pixel)[4][kBlock]) {
  using A = Vector<int64_t, kLocated<T> * sizeof(int64_t)>;
  const A top = __builtin_convertvector(row.has_before, A),
          bottom = __builtin_convertvector(row.has_after, A),
          left = __builtin_convertvector(column.has_before, A),
          right = __builtin_convertvector(column.has_after, A);
  const A first =
      __builtin_convertvector(row.before * static_cast<int32_t>(width) + column.before, A) *
          at.step +
      at.first;
  const A inside[4] = {top & left, top & right, bottom & left, bottom & right};
  const int64_t steps[4] = {0, at.step, width * at.step, (width + 1) * at.step};
  for (int corner = 0; corner < 4; ++corner)
    store<sizeof(A)>(pixel[corner] + lane,
                     ((first + steps[corner]) & inside[corner]) | (at.outside & ~inside[corner]));
}

/// Weights and addresses of several samples that have been located.
template <bool gradients, typename T>
DCNBUILD_INLINE void store_taps(const Axis<T>& row, const Axis<T>& column,
                                const typename Axis<T>::V& mask, int64_t width, int lane,
                                const typename Axis<T>::V& counts, const PixelAddresses& image,
                                const PixelAddresses& grad_image, TapBlock<T>& block) {
  using V = typename Axis<T>::V;
  constexpr int bytes = sizeof(V);
  address_neighbours(row, column, width, image, lane, block.pixel);
  const V above = (T(1) - row.distance) * mask, below = row.distance * mask;
  const V left = T(1) - column.distance, right = column.distance;
  const V weights[4] = {above * left, above * right, below * left, below * right};
  for (int corner = 0; corner < 4; ++corner)
    store<bytes>(block.weight[corner] + lane, weights[corner]);
  if constexpr (gradients) {
    address_neighbours(row, column, width, grad_image, lane, block.grad_pixel);
    store<bytes>(block.ly + lane, row.distance);
    store<bytes>(block.lx + lane, column.distance);
    store<bytes>(block.mask + lane, mask);
    store<bytes>(block.counts + lane, counts);
  }
}

/// Locates one tap of one offset group at kLocated positions, those from `lane` of the block on.
template <bool gradients, typename T>
DCNBUILD_INLINE void locate_lanes(const Taps<T>& t, int64_t tap, int64_t group, int64_t first,
                                  int lane, const PixelAddresses& image,
                                  const PixelAddresses& grad_image, TapBlock<T>& block) {
  using V = typename Axis<T>::V;
  using I = typename Axis<T>::I;
  constexpr int bytes = sizeof(V);
  const int64_t plane = group * t.taps + tap, position = first + lane;
  const T* offset = t.offsets + 2 * plane * t.padded_positions + position;
  const int32_t height = static_cast<int32_t>(t.height), width = static_cast<int32_t>(t.width);
  // Whole numbers first, so that a coordinate is rounded once.
  const V y = __builtin_convertvector(load<sizeof(I)>(t.row + position) + t.tap_row[tap], V) +
              load<bytes>(offset);
  const V x = __builtin_convertvector(load<sizeof(I)>(t.column + position) + t.tap_column[tap], V) +
              load<bytes>(offset + t.padded_positions);
  const V mask = load<bytes>(t.masks + plane * t.padded_positions + position);
  const auto interior = (y >= T(0)) & (y < static_cast<T>(height - 1)) & (x >= T(0)) &
                        (x < static_cast<T>(width - 1));
  if (all_lanes(interior)) {
    store_taps<gradients>(interior_axis<T>(y), interior_axis<T>(x), mask, t.width, lane, V{} + T(1),
                          image, grad_image, block);
    return;
  }
  // No NaN, infinity or huge number is converted to an integer.
  constexpr T limit = static_cast<T>(kSideLimit);
  auto placed = (y > T(-1)) & (y < limit) & (x > T(-1)) & (x < limit);
  const V valid_y = choose(placed, y, V{}), valid_x = choose(placed, x, V{});
  const I y0 = floor_of<T>(valid_y), x0 = floor_of<T>(valid_x);
  const I inside = __builtin_convertvector(placed, I) & (y0 < height) & (x0 < width);
  const auto wide_inside = __builtin_convertvector(inside, decltype(placed));
  const auto lost = (y != y) | (x != x);
  const V outside = choose(lost, y + x, V{});
  store_taps<gradients>(axis_at<T>(valid_y, y0, inside, wide_inside, outside, height),
                        axis_at<T>(valid_x, x0, inside, wide_inside, outside, width), mask, t.width,
                        lane, choose(wide_inside | lost, V{} + T(1), V{}), image, grad_image,
                        block);
}

/// Calls body(first position, positions, tap, index of the run, block) for every run of channels of
/// a tile, kBlock positions and tap. A block is located one tap ahead, so that what was stored as
/// vectors is not read back as scalars at once, and never leaves L1; nor do, with few channels in a
/// run, the pixels around a tile. Without `gradients`, a block holds only what sampling needs.
template <bool gradients, typename T, typename F>
DCNBUILD_INLINE void for_tap_blocks(const Samples<T>& s, const Pixels<T>& grad_image,
                                    const F& body) {
  TapBlock<T> blocks[2];
  for (int64_t r = 0; r < s.run_count; ++r) {
    const PixelAddresses image = PixelAddresses::of(s.image, s.runs[r]),
                         gradient = PixelAddresses::of(grad_image, s.runs[r]);
    for (int64_t first = 0; first < s.positions; first += kBlock) {
      const int64_t left = s.positions - first;
      const int positions = left < kBlock ? static_cast<int>(left) : kBlock;
      const auto locate = [&](int64_t tap) {
        for (int lane = 0; lane < kBlock; lane += kLocated<T>)
          locate_lanes<gradients>(s.taps, tap, s.runs[r].offset_group, first, lane, image, gradient,
                                  blocks[tap & 1]);
      };
      locate(s.first_tap);
      for (int64_t tap = s.first_tap; tap < s.last_tap; ++tap) {
        if (tap + 1 < s.last_tap) locate(tap + 1);
        body(first, positions, tap, r, blocks[tap & 1]);
      }
    }
  }
}
