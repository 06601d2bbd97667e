// The convolution's kernels for half types, against sums in double, in memory without a byte to
// spare. tests/matrix_units compiles this file too, with stand-ins for the instructions.
#include "checks.h"

namespace checks {
namespace {

constexpr uint16_t kNan = 0x7fff;  // of both types

/// The bits of a random number that the type holds.
uint16_t bits_of(const Half& type, Random& random) {
  return encoded(type, nearest(type, random.real(-2, 2)));
}

std::vector<uint16_t> halves(const Half& type, Random& random, int64_t size) {
  std::vector<uint16_t> made(size);
  for (uint16_t& bits : made) bits = bits_of(type, random);
  return made;
}

std::vector<float> floats(Random& random, int64_t size) {
  std::vector<float> made(size);
  for (float& number : made) number = static_cast<float>(random.real(-2, 2));
  return made;
}

/// A product, with gaps of NaN between rows, between units and after the last row that counts.
void check_product(const std::string& name, const MatrixKernels& k, const Half& type,
                   Random& random) {
  const int64_t rows = random.whole(1, 70), panels = random.whole(1, 5),
                depth = k.depth_step * random.whole(1, k.depth_step > 2 ? 6 : 40),
                a_gap = random.whole(0, 1) * random.whole(1, 9) * k.unit,
                c_gap = random.whole(0, 1) * random.whole(1, 9),
                all = (rows + k.row_step - 1) / k.row_step * k.row_step, a_row = depth + a_gap,
                c_row = panels * k.lanes + c_gap, unit = k.lanes * k.unit;
  const bool accumulate = random.coin(), dense = random.coin();
  // Panels one after another, as weights are, or side by side, as packed columns are.
  const int64_t b_panel = dense ? depth * k.lanes : unit, b_unit = dense ? unit : panels * unit;
  std::vector<uint16_t> a(all * a_row - a_gap, kNan);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < depth; ++j) a[i * a_row + j] = bits_of(type, random);
  const std::vector<uint16_t> b = halves(type, random, depth * panels * k.lanes);
  std::vector<float> c = floats(random, all * c_row - c_gap);
  const auto values = [&](const std::vector<uint16_t>& bits) {
    std::vector<double> made;
    for (const uint16_t each : bits) made.push_back(decoded(type, each));
    return made;
  };
  const std::vector<double> left = values(a), right = values(b);
  Expected<float> expected(c);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < panels * k.lanes; ++j) {
      const double* from = &right[j / k.lanes * b_panel + j % k.lanes * k.unit];
      double sum = accumulate ? c[i * c_row + j] : 0, size = std::abs(sum);
      for (int64_t d = 0; d < depth; ++d) {
        const double term = left[i * a_row + d] * from[d / k.unit * b_unit + d % k.unit];
        sum += term, size += std::abs(term);
      }
      expected.set(i * c_row + j, sum, size * static_cast<double>(depth) * kEpsilon<float>);
    }
  k.multiply({rows, panels, depth, a.data(), a_row, b.data(), b_panel, b_unit, c.data(), c_row,
              accumulate});
  // What the rows beyond the last hold is not defined.
  const auto defined = static_cast<size_t>(rows * c_row);
  if (c.size() > defined) c.resize(defined);
  expected.compare(c, name + " product, " + std::to_string(rows) + " rows, " +
                          std::to_string(panels) + " panels, depth " + std::to_string(depth));
}

void check_pack(const std::string& name, const MatrixKernels& k, const Half& type, Random& random) {
  const int64_t rows = random.whole(1, 40), columns = random.whole(1, 90),
                from_row = columns + random.whole(0, 5), padded = (rows + 31) / 32 * 32;
  const std::vector<float> from = floats(random, rows * from_row);
  std::vector<uint16_t> to(padded * columns, kNan);
  k.pack(rows, padded, columns, from.data(), from_row, to.data());
  for (int64_t i = 0; i < padded; ++i)
    for (int64_t j = 0; j < columns; ++j)
      expect_near(decoded(type, to[(i / k.unit * columns + j) * k.unit + i % k.unit]),
                  i < rows ? nearest(type, from[i * from_row + j]) : 0, 0, name + " pack");
}

void check_copy(const std::string& name, const MatrixKernels& k, Random& random) {
  const int64_t rows = random.whole(1, 80), columns = random.whole(1, 80);
  // What lies side by side: the rows' values, the columns', or neither.
  const auto steps = [&](int64_t& i, int64_t& j) {
    const int64_t gap = random.whole(0, 3);
    switch (random.whole(0, 2)) {
      case 0:
        i = columns + gap, j = 1;
        break;
      case 1:
        i = 1, j = rows + gap;
        break;
      default:
        i = 2 * columns + gap, j = 2;
    }
  };
  int64_t in_i, in_j, out_i, out_j;
  steps(in_i, in_j), steps(out_i, out_j);
  std::vector<uint16_t> in((rows - 1) * in_i + (columns - 1) * in_j + 1),
      out((rows - 1) * out_i + (columns - 1) * out_j + 1, 0);
  for (uint16_t& bits : in) bits = static_cast<uint16_t>(random.bits());
  std::vector<uint16_t> expected = out;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) expected[i * out_i + j * out_j] = in[i * in_i + j * in_j];
  k.copy(rows, columns, in.data(), in_i, in_j, out.data(), out_i, out_j);
  expect(out == expected, name + " copy");
}

/// One tap of an image whose channels are one run; every other time without offsets and with a mask
/// of one, where columns are the pixels, bit by bit.
void check_gather(const std::string& name, const MatrixKernels& k, const Half& type,
                  Random& random) {
  const int64_t height = random.whole(1, 6), width = random.whole(1, 6),
                channels = random.whole(1, 140), positions = height * width,
                padded = (positions + kBlock - 1) / kBlock * kBlock;
  const bool exact = random.coin();
  const std::vector<uint16_t> image = halves(type, random, positions * channels),
                              outside(channels, 0);
  std::vector<uint16_t> columns(positions * channels, kNan);
  std::vector<float> float_columns(positions * channels, NAN);
  std::vector<float> offsets(2 * padded, 0), masks(padded, 1);
  if (!exact) offsets = floats(random, 2 * padded), masks = floats(random, padded);
  std::vector<int32_t> row(padded, 0), column(padded, 0);
  for (int64_t i = 0; i < positions; ++i)
    row[i] = static_cast<int32_t>(i / width), column[i] = static_cast<int32_t>(i % width);
  const int32_t zero = 0;
  const Run run{0, 0, channels, 0};
  const Taps<float> taps{1,     offsets.data(), masks.data(), padded, row.data(), column.data(),
                         &zero, &zero,          height,       width};
  const Pixels<const uint16_t> pixels{image.data(), channels, 0, outside.data()};
  k.gather({positions, 0, 1, taps, &run, 1, pixels, columns.data(), channels, channels});
  k.gather_floats(
      {positions, 0, 1, taps, &run, 1, pixels, float_columns.data(), channels, channels});
  for (int64_t i = 0; i < positions; ++i) {
    const Neighbours near(static_cast<float>(row[i]) + offsets[i],
                          static_cast<float>(column[i]) + offsets[padded + i], height, width);
    for (int64_t c = 0; c < channels; ++c) {
      double sum = 0, size = 0;
      for (int which = 0; which < 4; ++which) {
        if (!near.exists[which]) continue;
        const int64_t pixel = near.y[which] * width + near.x[which];
        const double part =
            near.weight[which] * masks[i] * decoded(type, image[pixel * channels + c]);
        sum += part, size += std::abs(part);
      }
      const double bound = std::abs(sum) * std::ldexp(1, -type.fraction - 1) + size * 1e-5 + 1e-7;
      expect_near(decoded(type, columns[i * channels + c]), sum, exact ? 0 : bound,
                  name + " gather");
      expect_near(float_columns[i * channels + c], sum, exact ? 0 : size * 1e-5 + 1e-7,
                  name + " gather of floats");
    }
  }
}

}  // namespace

void check_matrix(const std::string& name, const MatrixKernels& kernels, const Half& type) {
  Random random(5);
  for (int i = 0; i < 60; ++i) {
    check_product(name, kernels, type, random);
    check_pack(name, kernels, type, random);
    check_copy(name, kernels, random);
    check_gather(name, kernels, type, random);
  }
}

}  // namespace checks
