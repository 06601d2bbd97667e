// Deformable attention's kernels, for every dtype in memory, against the definition.
#include "checks.h"

namespace checks {
namespace {

/// Locations and weights, read through strides and converted.
template <typename T>
void check_points(const KernelTable& table, Random& random, Stored stored) {
  ReadPoints<T> r{};
  r.queries = random.whole(1, 4), r.heads = random.whole(1, 3);
  r.levels = random.whole(1, 3), r.points = random.whole(1, 9);
  const int64_t samples = r.levels * r.points;
  r.padded = (samples + kBlock - 1) / kBlock * kBlock;
  const bool pairs = random.coin();
  const int64_t gap = random.whole(0, 2), axis = pairs ? 1 : 3, point = pairs ? 2 : 5;
  const auto view = [&](int64_t of_axis, int64_t of_point) {
    dcnbuild::PointView<const void> made{};
    made.axis = of_axis, made.point = of_point, made.level = r.points * of_point + gap;
    made.head = r.levels * made.level + gap, made.query = r.heads * made.head;
    return made;
  };
  r.locations = view(axis, point), r.weights = view(0, random.whole(1, 2));
  const int64_t size = size_of<T>(stored), room = 16;
  std::vector<char> locations((r.queries * r.locations.query + room) * size),
      weights((r.queries * r.weights.query + room) * size);
  std::vector<double> location_of(locations.size() / size), weight_of(weights.size() / size);
  const auto fill = [&](std::vector<char>& bytes, std::vector<double>& numbers) {
    for (size_t i = 0; i < numbers.size(); ++i)
      put<T>(stored, bytes.data() + i * size, numbers[i] = random.short_number());
  };
  fill(locations, location_of), fill(weights, weight_of);
  r.locations.data = locations.data(), r.weights.data = weights.data();
  const int64_t heads = r.queries * r.heads;
  std::vector<T> x(heads * r.padded), y(x.size()), weight(x.size());
  r.x = x.data(), r.y = y.data(), r.weight = weight.data();
  of(kernels_of<T>(table).read_points, stored)(r);
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t sample = 0; sample < samples; ++sample) {
      const auto at = [&](const dcnbuild::PointView<const void>& v) {
        return head / r.heads * v.query + head % r.heads * v.head + sample / r.points * v.level +
               sample % r.points * v.point;
      };
      const int64_t i = head * r.padded + sample;
      const std::string what = std::string("a point of ") + name_of(stored);
      expect_near(x[i], location_of[at(r.locations)], 0, what);
      expect_near(y[i], location_of[at(r.locations) + axis], 0, what);
      expect_near(weight[i], weight_of[at(r.weights)], 0, what);
    }
}

/// Some queries and heads of an image with several levels.
template <typename T>
struct Scene {
  Stored stored;
  int64_t queries, heads, channels, levels, points, samples, padded, pixels = 0;
  int64_t step, channel, size;  // of the value, in elements; bytes of an element
  std::vector<int32_t> height, width, start;
  std::vector<T> scale_y, scale_x, x, y, weight, shift_y, shift_x, output, grad_value, sink;
  std::vector<int64_t> row, grad_row;
  std::vector<char> value, outside;
  std::vector<double> number;
  Attend<T> call{};

  Scene(Random& random, Stored in_memory, bool backward) : stored(in_memory) {
    queries = random.whole(1, 3), heads = random.whole(1, 3), channels = random.whole(1, 40);
    levels = random.whole(1, 3), points = random.whole(1, 6), samples = levels * points;
    padded = (samples + kBlock - 1) / kBlock * kBlock;
    channel = random.whole(0, 3) ? 1 : 2;
    step = heads * channels * channel + random.whole(0, 2), size = size_of<T>(stored);
    for (int64_t level = 0; level < levels; ++level) {
      const auto h = static_cast<int32_t>(random.whole(1, 7)),
                 w = static_cast<int32_t>(random.whole(1, 7));
      for (int64_t point = 0; point < points; ++point) {
        height.push_back(h), width.push_back(w), start.push_back(static_cast<int32_t>(pixels));
        scale_y.push_back(h), scale_x.push_back(w);
        row.push_back(w * step * size), grad_row.push_back(w * heads * channels * sizeof(T));
      }
      pixels += h * w;
    }
    for (auto* of : {&height, &width, &start}) of->resize(padded, of->back());
    for (auto* of : {&scale_y, &scale_x}) of->resize(padded, of->back());
    for (auto* of : {&row, &grad_row}) of->resize(padded, of->back());
    number.resize(pixels * step), value.resize(number.size() * size);
    for (size_t i = 0; i < number.size(); ++i)
      put<T>(stored, value.data() + i * size, number[i] = random.short_number());
    outside.assign(channels * size, 0), sink.assign(channels, T(0));
    const auto numbers = [&](int64_t count, double least, double most) {
      std::vector<T> made(count);
      for (T& one : made) one = static_cast<T>(random.real(least, most));
      return made;
    };
    x = numbers(queries * heads * padded, -0.3, 1.3), y = numbers(x.size(), -0.3, 1.3);
    for (auto* of : {&x, &y})
      for (T& location : *of)
        if (random.whole(0, 19) == 0) location = static_cast<T>(random.coin() ? NAN : 1e10);
    weight = numbers(x.size(), -1, 1);
    shift_y = numbers(queries, -0.5, 0.5), shift_x = numbers(queries, -0.5, 0.5);
    output = numbers(queries * heads * channels, -1, 1);
    grad_value = numbers(pixels * heads * channels, -1, 1);
    (void)backward;
    call = {queries,
            heads,
            channels,
            {samples, padded, height.data(), width.data(), start.data(), scale_y.data(),
             scale_x.data()},
            y.data(),
            x.data(),
            weight.data(),
            shift_y.data(),
            shift_x.data(),
            {value.data(), step * size, channels * channel * size, row.data(), outside.data()},
            channel,
            output.data(),
            heads * channels,
            channels};
  }

  /// Calls body(query, head, sample, y, x, weight).
  template <typename F>
  void for_samples(const F& body) const {
    for (int64_t query = 0; query < queries; ++query)
      for (int64_t head = 0; head < heads; ++head)
        for (int64_t sample = 0; sample < samples; ++sample) {
          const int64_t i = (query * heads + head) * padded + sample;
          // In T, in which kernels compute positions, one operation after the other.
          volatile T product_y = y[i] * scale_y[sample], product_x = x[i] * scale_x[sample];
          const T at_y = product_y + shift_y[query], at_x = product_x + shift_x[query];
          body(query, head, sample, at_y, at_x, static_cast<double>(weight[i]));
        }
  }

  double pixel(int64_t sample, const Neighbours& near, int which, int64_t head, int64_t c) const {
    const int64_t at = start[sample] + near.y[which] * width[sample] + near.x[which];
    return number[at * step + (head * channels + c) * channel];
  }
};

template <typename T>
void check_attend(const KernelTable& table, Random& random, Stored stored) {
  Scene<T> scene(random, stored, false);
  Expected<T> expected(scene.output);
  std::fill(expected.value.begin(), expected.value.end(), 0);
  scene.for_samples([&](int64_t query, int64_t head, int64_t sample, T y, T x, double weight) {
    const Neighbours near(y, x, scene.height[sample], scene.width[sample]);
    for (int64_t c = 0; c < scene.channels; ++c) {
      const int64_t to = (query * scene.heads + head) * scene.channels + c;
      if (std::isnan(y) || std::isnan(x)) expected.add(to, NAN, 0);
      for (int which = 0; which < 4; ++which)
        if (near.exists[which]) {
          const double value = weight * scene.pixel(sample, near, which, head, c);
          expected.add(
              to, near.weight[which] * value,
              (8 + 4 * static_cast<double>(scene.samples)) * kEpsilon<T> * std::abs(value));
        }
    }
  });
  of(kernels_of<T>(table).attend, stored)(scene.call);
  expected.compare(scene.output, std::string("attention over ") + name_of(stored));
}

template <typename T>
void check_attend_backward(const KernelTable& table, Random& random, Stored stored) {
  Scene<T> scene(random, stored, true);
  const bool points = random.coin(), scatter = !points || random.coin();
  const std::vector<int64_t> channel_at =
      channel_order(table, scene.channels, stored == Stored::bfloat16 && scene.channel == 1);
  const int64_t count = scene.queries * scene.heads * scene.samples;
  std::vector<T> grad_locations(2 * count), grad_weights(count);
  Expected<T> value(scene.grad_value), locations(grad_locations), weights(grad_weights);
  scene.for_samples([&](int64_t query, int64_t head, int64_t sample, T y, T x, double weight) {
    const Neighbours near(y, x, scene.height[sample], scene.width[sample]);
    const int64_t at = (query * scene.heads + head) * scene.samples + sample;
    const double sy = scene.scale_y[sample], sx = scene.scale_x[sample],
                 steps = (8 + static_cast<double>(scene.channels)) * kEpsilon<T>;
    if (points && (std::isnan(y) || std::isnan(x))) {
      locations.add(2 * at, NAN, 0), locations.add(2 * at + 1, NAN, 0), weights.add(at, NAN, 0);
    }
    for (int64_t c = 0; c < scene.channels; ++c)
      for (int which = 0; which < 4; ++which) {
        if (!near.exists[which]) continue;
        const double upstream = scene.output[(query * scene.heads + head) * scene.channels + c];
        const double product = upstream * scene.pixel(sample, near, which, head, channel_at[c]);
        const double error = steps * std::abs(product);
        if (points) {
          locations.add(2 * at, weight * near.by_x[which] * sx * product, sx * error);
          locations.add(2 * at + 1, weight * near.by_y[which] * sy * product, sy * error);
          weights.add(at, near.weight[which] * product, error);
        }
        if (!scatter) continue;
        const int64_t pixel =
            scene.start[sample] + near.y[which] * scene.width[sample] + near.x[which];
        const int64_t to = (pixel * scene.heads + head) * scene.channels + c;
        value.add(to, near.weight[which] * weight * upstream,
                  8 * kEpsilon<T> * (std::abs(upstream) + std::abs(value.value[to])));
      }
  });
  AttendBackward<T> backward{scene.call, {}, {}, nullptr, nullptr, scene.heads * scene.samples};
  if (scatter)
    backward.grad_value = {
        scene.grad_value.data(), scene.heads * scene.channels * static_cast<int64_t>(sizeof(T)),
        scene.channels * static_cast<int64_t>(sizeof(T)), scene.grad_row.data(), scene.sink.data()};
  if (points)
    backward.grad_locations = grad_locations.data(), backward.grad_weights = grad_weights.data();
  of(kernels_of<T>(table).attend_backward, stored)(backward);
  const std::string what = std::string(" of attention over ") + name_of(stored);
  value.compare(scene.grad_value, "gradient of the value" + what);
  locations.compare(grad_locations, "gradient of the locations" + what);
  weights.compare(grad_weights, "gradient of the weights" + what);
}

}  // namespace

void check_attention(const KernelTable& table) {
  Random random(4);
  for (int i = 0; i < 100; ++i) {
    for (const Stored stored : {Stored::same, Stored::half, Stored::bfloat16}) {
      check_points<float>(table, random, stored);
      check_attend<float>(table, random, stored);
      check_attend_backward<float>(table, random, stored);
    }
    check_points<double>(table, random, Stored::same);
    check_attend<double>(table, random, Stored::same);
    check_attend_backward<double>(table, random, Stored::same);
  }
}

}  // namespace checks
