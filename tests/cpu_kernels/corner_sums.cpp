// The sums of attention's corners, for every dtype of the gradient, against the definition.
#include "checks.h"

namespace checks {
namespace {

/// The value's gradient of some pixels, on each of which a random number of corners lies.
template <typename T>
void check_sum_corners(const KernelTable& table, Random& random, Stored stored) {
  SumCorners<T> s{};
  s.first = random.whole(0, 3), s.pixels = random.whole(0, 7), s.heads = random.whole(1, 3);
  s.channels = random.whole(1, 70), s.corners_query = 4 * kBlock * random.whole(1, 2);
  s.split = stored == Stored::bfloat16 && random.coin();
  const int64_t queries = random.whole(1, 9), count = queries * s.corners_query,
                width = s.heads * s.channels, all = s.first + s.pixels + random.whole(1, 3);
  s.upstream_head = s.channels + random.whole(0, 2);
  s.upstream_query = s.heads * s.upstream_head + random.whole(0, 2);
  s.corners_head = count / kBlock + random.whole(0, 2), s.order_head = count + random.whole(0, 2);
  s.starts_head = all + 1 + random.whole(0, 2);
  std::vector<T> upstream(queries * s.upstream_query);
  for (T& number : upstream) number = static_cast<T>(random.real(-2, 2));
  std::vector<CornerBlock<T>> corners(s.heads * s.corners_head);
  std::vector<int32_t> order(s.heads * s.order_head), starts(s.heads * s.starts_head);
  const std::vector<int64_t> channel_at = channel_order(table, s.channels, s.split);
  std::vector<double> sums(s.pixels * width), bounds(sums.size());
  for (int64_t head = 0; head < s.heads; ++head) {
    std::vector<std::vector<int32_t>> of_pixel(all);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t pixel = random.whole(0, all - 1);
      const T weight = static_cast<T>(random.real(-2, 2));
      CornerBlock<T>& block = corners[head * s.corners_head + i / kBlock];
      block.pixel[i % kBlock] = static_cast<int32_t>(pixel), block.weight[i % kBlock] = weight;
      of_pixel[pixel].push_back(static_cast<int32_t>(i));
      if (pixel < s.first || pixel >= s.first + s.pixels) continue;
      for (int64_t c = 0; c < s.channels; ++c) {
        const int64_t from = i / s.corners_query * s.upstream_query + head * s.upstream_head,
                      to = (pixel - s.first) * width + head * s.channels + channel_at[c];
        const double term = static_cast<double>(weight) * upstream[from + c];
        sums[to] += term, bounds[to] += static_cast<double>(count) * kEpsilon<T> * std::abs(term);
      }
    }
    int32_t at = 0;
    for (int64_t pixel = 0; pixel < all; ++pixel) {
      starts[head * s.starts_head + pixel] = at;
      for (const int32_t i : of_pixel[pixel]) order[head * s.order_head + at++] = i;
    }
    starts[head * s.starts_head + all] = at;
  }
  const int64_t size = size_of<T>(stored);
  std::vector<char> written((s.pixels * width + 1) * size, char(0xff));  // NaN, to be overwritten
  s.corners = corners.data(), s.order = order.data(), s.starts = starts.data() + s.first;
  s.upstream = upstream.data(), s.sums = written.data();
  of(kernels_of<T>(table).sum_corners, stored)(s);
  const Half& half = stored == Stored::half ? kFloat16 : kBFloat16;
  const auto at = [&](int64_t i) {
    if (stored == Stored::same) {
      T value;
      std::memcpy(&value, written.data() + i * size, sizeof(value));
      return static_cast<double>(value);
    }
    uint16_t bits;
    std::memcpy(&bits, written.data() + i * size, sizeof(bits));
    return decoded(half, bits);
  };
  for (int64_t i = 0; i < s.pixels * width; ++i) {
    const double rounding = stored == Stored::same
                                ? 0
                                : std::ldexp(std::abs(sums[i]) + bounds[i], -half.fraction - 1) +
                                      std::ldexp(1.0, -half.bias - half.fraction);
    expect_near(at(i), sums[i], bounds[i] + rounding,
                std::string("a sum of corners as ") + name_of(stored), i);
  }
  expect(std::isnan(at(s.pixels * width)), "sums of corners end where their pixels do");
}

}  // namespace

void check_corner_sums(const KernelTable& table) {
  Random random(5);
  for (int i = 0; i < 100; ++i) {
    for (const Stored stored : {Stored::same, Stored::half, Stored::bfloat16})
      check_sum_corners<float>(table, random, stored);
    check_sum_corners<double>(table, random, Stored::same);
  }
}

}  // namespace checks
