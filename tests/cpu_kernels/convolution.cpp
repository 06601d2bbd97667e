// Sampling into columns, and the backward pass over the samples, against the definition.
#include "checks.h"

namespace checks {
namespace {

/// A tile of random shape, some taps of it, and an image in one of its two layouts.
template <typename T>
struct Tile {
  int64_t height, width, taps, positions, padded, channels = 0;
  bool dense;  // runs of channels one after the other
  int64_t step;
  std::vector<Run> runs;
  std::vector<T> offsets, masks, image, zeros, columns, grad_image, sink;
  std::vector<int32_t> row, column, tap_row, tap_column;
  std::vector<TapGradients<T>> gradients;
  Samples<T> samples{};

  Tile(Random& random, int64_t few) {
    height = random.whole(1, 9), width = random.whole(1, 9);
    taps = random.whole(1, 5), positions = random.whole(1, 20);
    padded = (positions + kBlock - 1) / kBlock * kBlock;
    dense = random.coin();
    const int64_t groups = random.whole(1, 3);
    for (int64_t group = 0; group < groups; ++group) {
      const int64_t count = random.coin() ? few : random.whole(1, 40);
      runs.push_back({group, channels, count, channels});
      channels += count;
    }
    step = channels + random.whole(0, 2);
    const auto numbers = [&](int64_t size) {
      std::vector<T> made(size);
      for (T& number : made) number = static_cast<T>(random.real(-2, 2));
      return made;
    };
    offsets = numbers(groups * taps * 2 * padded), masks = numbers(groups * taps * padded);
    for (T& offset : offsets)
      if (random.whole(0, 9) == 0) {
        const double wild[] = {0, -1, 1, 0.5, 3e9, -3e9, std::nan(""), INFINITY, -INFINITY};
        offset = static_cast<T>(wild[random.whole(0, 8)]);
      }
    image = numbers(height * width * (dense ? channels : step));
    grad_image = numbers(height * width * (dense ? channels : step));
    zeros.assign(channels, T(0)), sink.assign(channels, T(0));
    const auto places = [&](int64_t size, int64_t most) {
      std::vector<int32_t> made(size);
      for (int32_t& place : made) place = static_cast<int32_t>(random.whole(-1, most));
      return made;
    };
    row = places(padded, height), column = places(padded, width);
    tap_row = places(taps, 1), tap_column = places(taps, 1);
    const int64_t first = random.whole(0, taps - 1), last = random.whole(first + 1, taps);
    const int64_t column_tap = channels + random.whole(0, 2),
                  column_row = (last - first) * column_tap + random.whole(0, 2);
    columns = numbers(positions * column_row);
    gradients.resize(padded / kBlock * taps * groups);
    samples = {positions,
               first,
               last,
               {taps, offsets.data(), masks.data(), padded, row.data(), column.data(),
                tap_row.data(), tap_column.data(), height, width},
               runs.data(),
               groups,
               {image.data(), step, dense ? height * width : 0, zeros.data()},
               columns.data(),
               column_row,
               column_tap};
  }

  int64_t pixel(const Run& run, int64_t y, int64_t x, int64_t c) const {
    const int64_t index = y * width + x;
    return dense ? run.begin * height * width + index * run.count + c
                 : index * step + run.begin + c;
  }

  /// Calls body(run, tap, position, y, x, mask, index of the first column).
  template <typename F>
  void for_samples(const F& body) const {
    for (const Run& run : runs)
      for (int64_t tap = samples.first_tap; tap < samples.last_tap; ++tap)
        for (int64_t i = 0; i < positions; ++i) {
          const int64_t plane = run.offset_group * taps + tap;
          // In T, in which kernels compute positions.
          const T y = static_cast<T>(row[i] + tap_row[tap]) + offsets[2 * plane * padded + i];
          const T x =
              static_cast<T>(column[i] + tap_column[tap]) + offsets[(2 * plane + 1) * padded + i];
          body(run, tap, i, y, x, static_cast<double>(masks[plane * padded + i]),
               i * samples.column_row + (tap - samples.first_tap) * samples.column_tap + run.begin);
        }
  }

  /// columns = samples.
  void sample(Expected<T>& expected) const {
    for_samples([&](const Run& run, int64_t, int64_t, T y, T x, double mask, int64_t at) {
      const Neighbours near(y, x, height, width);
      for (int64_t c = 0; c < run.count; ++c) {
        expected.set(at + c, std::isnan(y + x) && !std::isinf(y) && !std::isinf(x) ? NAN : 0, 0);
        if (std::isnan(y) || std::isnan(x)) expected.set(at + c, NAN, 0);
        for (int which = 0; which < 4; ++which) {
          if (!near.exists[which]) continue;
          const double value = mask * image[pixel(run, near.y[which], near.x[which], c)];
          expected.add(at + c, near.weight[which] * value, 8 * kEpsilon<T> * std::abs(value));
        }
      }
    });
  }
};

template <typename T>
void check_gather(const KernelTable& table, Random& random) {
  Tile<T> tile(random, kernels_of<T>(table).lanes);
  Expected<T> expected(tile.columns);
  tile.sample(expected);
  kernels_of<T>(table).gather(tile.samples);
  expected.compare(tile.columns, "columns");
}

/// With an image of T, or of the bits of a half type, which the tile's numbers are then rounded to.
template <typename T, typename Pixel>
void check_differentiate(void (*differentiate)(const Differentiate<T, Pixel>&), int64_t lanes,
                         Random& random, const Half* type = nullptr) {
  Tile<T> tile(random, lanes);
  const std::vector<Pixel> zeros(tile.channels, Pixel(0));
  std::vector<Pixel> image;
  for (T& number : tile.image) {
    if (type) number = static_cast<T>(nearest(*type, number));
    image.push_back(type ? static_cast<Pixel>(encoded(*type, number)) : static_cast<Pixel>(number));
  }
  const bool scatter = random.coin();
  Expected<T> columns(tile.columns), grad_image(tile.grad_image);
  const std::vector<T> upstream = tile.columns;
  tile.sample(columns);
  struct Sums {
    double y = 0, x = 0, mask = 0, size = 0;
  };
  const auto groups = static_cast<int64_t>(tile.runs.size());
  std::vector<Sums> sums(tile.padded * tile.taps * groups);
  const auto at = [&](int64_t position, int64_t tap, const Run& run) {
    return (position * tile.taps + tap) * groups + run.offset_group;
  };
  tile.for_samples([&](const Run& run, int64_t tap, int64_t i, T y, T x, double mask,
                       int64_t first) {
    const Neighbours near(y, x, tile.height, tile.width);
    Sums& sum = sums[at(i, tap, run)];
    if (std::isnan(y) || std::isnan(x)) sum.y = sum.x = sum.mask = NAN;
    for (int64_t c = 0; c < run.count; ++c)
      for (int which = 0; which < 4; ++which) {
        if (!near.exists[which]) continue;
        const double gradient = upstream[first + c];
        const int64_t pixel = tile.pixel(run, near.y[which], near.x[which], c);
        const double product = gradient * tile.image[pixel];
        sum.y += mask * near.by_y[which] * product, sum.x += mask * near.by_x[which] * product;
        sum.mask += near.weight[which] * product;
        sum.size += std::abs(product) * (1 + std::abs(mask));
        const double term = near.weight[which] * mask * gradient;
        if (scatter)
          grad_image.add(
              pixel, term,
              8 * kEpsilon<T> * (std::abs(mask * gradient) + std::abs(grad_image.value[pixel])));
      }
  });
  Pixels<T> gradient{};
  if (scatter)
    gradient = {tile.grad_image.data(), tile.step, tile.dense ? tile.height * tile.width : 0,
                tile.sink.data()};
  const Samples<T>& s = tile.samples;
  const Pixels<const Pixel> pixels{image.data(), s.image.step, s.image.run_pixels, zeros.data()};
  differentiate({{s.positions, s.first_tap, s.last_tap, s.taps, s.runs, s.run_count, pixels,
                  s.columns, s.column_row, s.column_tap},
                 tile.gradients.data(),
                 gradient});
  columns.compare(tile.columns, "columns of the backward pass");
  grad_image.compare(tile.grad_image, "gradient of the image");
  tile.for_samples([&](const Run& run, int64_t tap, int64_t i, T, T, double, int64_t) {
    const TapGradients<T>& got =
        tile.gradients[(i / kBlock * tile.taps + tap) * groups + run.offset_group];
    const Sums& sum = sums[at(i, tap, run)];
    const double bound = (8 + static_cast<double>(run.count)) * kEpsilon<T> * sum.size;
    expect_near(got.y[i % kBlock], sum.y, bound, "gradient of an offset's y");
    expect_near(got.x[i % kBlock], sum.x, bound, "gradient of an offset's x");
    expect_near(got.mask[i % kBlock], sum.mask, bound, "gradient of a mask");
  });
}

}  // namespace

void check_convolution(const KernelTable& table) {
  Random random(3);
  for (int i = 0; i < 150; ++i) {
    check_gather<float>(table, random);
    check_gather<double>(table, random);
    check_differentiate(table.float_kernels.differentiate, table.float_kernels.lanes, random);
    check_differentiate(table.double_kernels.differentiate, table.double_kernels.lanes, random);
    for (const auto& [kernels, type] :
         {std::pair(table.bfloat16, &kBFloat16), {table.half, &kFloat16}})
      if (kernels) check_differentiate(kernels->differentiate, kernels->lanes, random, type);
  }
}

}  // namespace checks
