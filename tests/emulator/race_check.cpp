// Every kernel on one OS thread and on two, for the sanitizers: whatever they find ends the program
// with its report. The results must also be the same. No torch library: it is not built for them.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <random>
#include <vector>

#include "deform_attn/cuda/value_scatter.cuh"
#include "deform_conv2d/cuda/column_scatter.cuh"
#include "deform_conv2d/cuda/columns.cuh"
#include "deform_conv2d/cuda/layout.cuh"
#include "deform_pool/cuda/input_gradient.cuh"
#include "deform_pool/cuda/offset_gradient.cuh"
#include "deform_pool/cuda/output.cuh"

using namespace dcnbuild;
using namespace dcnbuild::cuda;

namespace {

void check(cudaError_t error) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "launch failed: %s\n", cudaGetErrorString(error));
  std::exit(1);
}

template <typename T>
std::vector<T> random_values(int64_t count, double scale, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<double> uniform(-scale, scale);
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(uniform(generator));
  return values;
}

template <typename T>
View4<T> contiguous(T* data, int64_t channels, int64_t height, int64_t width) {
  return {data, channels * height * width, height * width, width, 1};
}

template <typename T>
View4<T> channels_last(T* data, int64_t channels, int64_t height, int64_t width) {
  return {data, channels * height * width, 1, width * channels, channels};
}

template <typename... Vectors>
std::vector<double> joined(const Vectors&... vectors) {
  std::vector<double> all;
  const auto append = [&](const auto& values) {
    for (const auto& value : values) all.push_back(static_cast<double>(value));
  };
  (append(vectors), ...);
  return all;
}

/// Sorted corners and what they refer to, as torch's sort would leave them.
template <typename acc_t, typename key_t>
struct Sorting {
  explicit Sorting(int64_t samples)
      : keys(4 * samples), sorted(keys.size()), order(keys.size()), weights(keys.size()) {}

  /// Where a kernel writes the keys: 16 bits for one, 32 for the other.
  Keys to() { return {keys.data(), sizeof(key_t) == 2}; }

  /// Adds the gradients of `source` to the image.
  template <typename Source>
  void scatter(const Source& source, int channels, acc_t* image) {
    std::iota(order.begin(), order.end(), int64_t(0));
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return keys[a] < keys[b]; });
    std::transform(order.begin(), order.end(), sorted.begin(), [&](int64_t i) { return keys[i]; });
    const SortedCorners<acc_t> corners{
        {sorted.data(), sizeof(key_t) == 2}, order.data(), weights.data(), int(keys.size())};
    std::vector<acc_t> partial(int64_t(corners.tiles()) * channels);
    check(scatter_sorted(source, channels, corners, image, partial.data(), nullptr));
  }

  std::vector<key_t> keys, sorted;
  std::vector<int64_t> order;
  std::vector<acc_t> weights;
};

/// Runs every kernel of a convolution on one call and returns all that they wrote.
template <typename T>
std::vector<double> run(const Geometry& g) {
  using acc_t = acc_type<T>;
  const int64_t pixels = g.height * g.width, rows = g.batch * g.positions();
  const int64_t samples = g.taps() * g.offset_groups;
  const auto input = random_values<T>(g.batch * g.channels * pixels, 1, 1);
  const auto offset = random_values<T>(g.batch * 2 * samples * g.positions(), 2, 2);
  const auto mask = random_values<T>(g.batch * samples * g.positions(), 1, 3);
  const auto grad_columns = random_values<T>(rows * g.column_size(), 1, 4);

  std::vector<T> image(input.size()), columns(grad_columns.size()), same_columns(columns.size());
  std::vector<T> grad_offset(offset.size()), grad_mask(mask.size()), grad_input(input.size());
  std::vector<acc_t> grad_image(input.size()), sorted_image(input.size()), sum(columns.size());

  const CopyShape shape{int(g.channels), int(pixels), int(g.width), 0, 0};
  const auto nchw = contiguous(input.data(), g.channels, g.height, g.width);
  const auto nhwc = channels_last(image.data(), g.channels, g.height, g.width);
  check(copy_layout<T, T>(g.batch, shape, nchw, nhwc, nullptr));

  Chunk<T, T> chunk{Shape(g), image.data(), g.channels * pixels, g.channels, {}, {}, 0, int(rows)};
  chunk.offset = contiguous(offset.data(), 2 * samples, g.out_height, g.out_width);
  chunk.mask = contiguous(mask.data(), samples, g.out_height, g.out_width);
  check(gather_columns(chunk, columns.data(), nullptr));
  const Destinations<T, T> to{
      same_columns.data(), grad_image.data(),
      contiguous(grad_offset.data(), 2 * samples, g.out_height, g.out_width),
      contiguous(grad_mask.data(), samples, g.out_height, g.out_width)};
  check(column_gradients(chunk, grad_columns.data(), to, nullptr));

  Sorting<acc_t, int16_t> sorting(chunk.samples());
  check(corner_keys(chunk, sorting.to(), sorting.weights.data(), nullptr));
  sorting.scatter(ColumnGradients<T>{chunk.shape, chunk.count, grad_columns.data()},
                  chunk.shape.per_offset_group, sorted_image.data());
  check(accumulate(int64_t(columns.size()), columns.data(), sum.data(), nullptr));
  check(copy_layout<acc_t, T>(
      g.batch, shape, channels_last<const acc_t>(grad_image.data(), g.channels, g.height, g.width),
      contiguous(grad_input.data(), g.channels, g.height, g.width), nullptr));

  return joined(columns, same_columns, grad_offset, grad_mask, grad_input, sorted_image, sum);
}

/// The same for attention.
template <typename T>
std::vector<double> run(const AttnGeometry& g) {
  using acc_t = acc_type<T>;
  const int64_t row = g.heads * g.channels, places = g.batch * g.queries * g.heads;
  const auto value = random_values<T>(g.batch * g.pixels * row, 1, 1);
  auto locations = random_values<T>(places * g.samples() * 2, 0.7, 2);
  for (T& at : locations) at = static_cast<T>(static_cast<acc_t>(at) + acc_t(0.5));
  const auto weights = random_values<T>(places * g.samples(), 1, 3);
  const auto grad_output = random_values<T>(places * g.channels, 1, 4);
  const auto points = [&](const T* data, int64_t axes) -> PointView<const T> {
    const int64_t level = g.points * axes, head = g.levels * level, query = g.heads * head;
    return {data, g.queries * query, query, head, level, axes, 1};
  };
  const AttnCall<T, T> call{AttnShape(g, g.batch),
                            {value.data(), g.pixels * row, row, g.channels, 1},
                            points(locations.data(), 2),
                            points(weights.data(), 1)};
  std::vector<T> output(grad_output.size()), grad_locations(locations.size()),
      grad_weights(weights.size());
  std::vector<acc_t> grad_value(value.size()), sorted_value(value.size());
  check(attend(call, {output.data(), g.queries * row, row}, nullptr));
  const QueryView<const T> grad{grad_output.data(), g.queries * row, row};
  check(attn_gradients(call, grad, {grad_value.data(), grad_locations.data(), grad_weights.data()},
                       nullptr));
  // Two chunks, whose border is inside a query.
  const int64_t samples = places * g.samples(), border = samples / 2 + 1;
  for (const int64_t begin : {int64_t(0), border}) {
    const int64_t count = begin == 0 ? border : samples - border;
    const AttnChunk chunk(call.shape, begin, count);
    Sorting<acc_t, int32_t> sorting(count);
    check(attn_keys(call, chunk, sorting.to(), sorting.weights.data(), nullptr));
    sorting.scatter(QueryGradients<T>{call.shape, chunk, grad}, call.shape.channels,
                    sorted_value.data());
  }
  return joined(output, grad_value, grad_locations, grad_weights, sorted_value);
}

/// The same for a pooling, whose RoIs lie one upon another.
template <typename T>
std::vector<double> run(const PoolGeometry& g) {
  using acc_t = acc_type<T>;
  const int64_t cells = g.offset_cells_h * g.offset_cells_w;
  const auto input = random_values<T>(g.batch * g.channels * g.height * g.width, 1, 1);
  const auto offset = random_values<T>(g.rois * 2 * g.offset_classes * cells, 1, 2);
  const auto upstream = random_values<T>(g.rois * g.out_channels * g.bins(), 1, 3);
  std::vector<T> rois;
  for (int64_t roi = 0; roi < g.rois; ++roi)
    for (const int64_t field : {roi % g.batch, int64_t(1), int64_t(0), g.width + 1, g.height})
      rois.push_back(static_cast<T>(static_cast<double>(field)));

  const PoolCall<T, T> call{
      g,
      contiguous(input.data(), g.channels, g.height, g.width),
      {rois.data(), 5, 1},
      contiguous(offset.data(), 2 * g.offset_classes, g.offset_cells_h, g.offset_cells_w)};
  std::vector<T> output(upstream.size()), grad_offset(offset.size());
  std::vector<acc_t> sums(input.size()), sums_in_order(input.size());
  const auto grad = contiguous(upstream.data(), g.out_channels, g.pooled_h, g.pooled_w);
  check(
      cuda::pool(call, contiguous(output.data(), g.out_channels, g.pooled_h, g.pooled_w), nullptr));
  for (auto* to : {&sums, &sums_in_order})
    check(pool_input_gradient(call, grad, contiguous(to->data(), g.channels, g.height, g.width),
                              to == &sums_in_order, nullptr));
  check(pool_offset_gradient(
      call, grad,
      contiguous(grad_offset.data(), 2 * g.offset_classes, g.offset_cells_h, g.offset_cells_w),
      nullptr));
  return joined(output, sums, sums_in_order, grad_offset);
}

template <typename T, typename Shape>
bool compare(const char* name, const Shape& g, double tolerance) {
  emulator::settings() = {};
  const std::vector<double> alone = run<T>(g);
  double worst = 0;
  for (const uint64_t seed : {1, 2}) {
    emulator::settings() = {emulator::Order::shuffled, seed, 2, ""};
    const std::vector<double> together = run<T>(g);
    for (size_t i = 0; i < alone.size(); ++i) {
      const double error = std::abs(together[i] - alone[i]);
      if (!(error <= worst)) worst = error;
    }
  }
  const bool good = worst <= tolerance;
  std::printf("%s: %s, largest difference %g\n", name, good ? "ok" : "WRONG", worst);
  return good;
}

Geometry geometry(int64_t batch, int64_t channels, int64_t groups, int64_t offset_groups) {
  return {batch, channels, 6, 5, 4, 6, 5, 3, 3, 1, 1, 1, 1, 1, 1, groups, offset_groups};
}

/// Several blocks of groups of lanes, on a small pyramid.
AttnGeometry attention(int64_t channels) {
  return {2, 6 * 5 + 3 * 2 + 1, 3, channels, 40, 3, 3, {{6, 5, 0}, {3, 2, 30}, {1, 1, 36}}};
}

/// With more outputs for each RoI than a block has threads.
PoolGeometry pooling(bool position_sensitive) {
  PoolGeometry g{};
  g.batch = 2, g.height = 9, g.width = 8, g.rois = 5;
  g.group_size = position_sensitive ? 2 : 1, g.offset_classes = g.group_size;
  g.out_channels = 40, g.channels = g.out_channels * g.group_size * g.group_size;
  g.pooled_h = g.pooled_w = g.offset_cells_h = g.offset_cells_w = 3;
  g.samples = 2, g.spatial_scale = 1, g.offset_scale = 0.1;
  g.position_sensitive = position_sensitive;
  return g;
}

}  // namespace

int main() {
  bool good = compare<float>("vectors of float", geometry(1, 16, 1, 1), 1e-4);
  good &= compare<float>("odd channels, several images", geometry(2, 3, 1, 1), 1e-4);
  good &= compare<float>("groups", geometry(1, 16, 2, 2), 1e-4);
  good &= compare<double>("double", geometry(1, 4, 1, 2), 1e-12);
  good &= compare<__half>("half", geometry(1, 16, 1, 1), 3e-2);
  good &= compare<float>("attention", attention(16), 1e-4);
  good &= compare<float>("attention, odd channels", attention(7), 1e-4);
  good &= compare<double>("attention in double", attention(4), 1e-12);
  good &= compare<__half>("attention in half", attention(16), 3e-2);
  good &= compare<float>("PS-RoI pooling", pooling(true), 1e-4);
  good &= compare<double>("RoI pooling", pooling(false), 1e-12);
  return good ? 0 : 1;
}
