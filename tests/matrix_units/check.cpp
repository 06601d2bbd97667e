// Compares the kernels for half types with sums in double, over many shapes, in memory without a
// byte to spare. Exits with 1 and says where the first difference is.
#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "common/cpu/matrix_levels.h"
#include "stand_in.h"

namespace {

using namespace dcnbuild::cpu;

std::mt19937 generator(1);

int64_t number(int64_t least, int64_t most) {
  return least + static_cast<int64_t>(generator() % static_cast<uint64_t>(most - least + 1));
}

double normal() { return std::normal_distribution<double>()(generator); }

constexpr uint16_t kNan = 0x7fff;  // of both types

struct Type {
  const char* name;
  float (*value)(uint16_t);
  int bits;  // of its mantissa
};
const Type kBFloat16{"bfloat16", stand_in::from_bfloat16, 8};
const Type kHalf{"float16", stand_in::from_half, 11};

uint16_t rounded(const Type& type, double value) {
  const float narrow = static_cast<float>(value);
  return type.bits == 8 ? stand_in::to_bfloat16(narrow)
                        : _cvtss_sh(narrow, _MM_FROUND_TO_NEAREST_INT);
}

[[noreturn]] void differs(const std::string& where, double found, double expected) {
  std::fprintf(stderr, "%s: %.9g, expected %.9g\n", where.c_str(), found, expected);
  std::exit(1);
}

/// A product, with gaps of NaN between rows, between units and after the last row that counts.
void check_product(const std::string& name, const MatrixKernels& k, const Type& type) {
  const int64_t rows = number(1, 70), panels = number(1, 5),
                depth = k.depth_step * number(1, k.depth_step > 2 ? 6 : 40),
                a_gap = number(0, 1) * number(1, 9) * k.unit, c_gap = number(0, 1) * number(1, 9),
                all = (rows + k.row_step - 1) / k.row_step * k.row_step, a_row = depth + a_gap,
                c_row = panels * k.lanes + c_gap, unit = k.lanes * k.unit;
  const bool accumulate = number(0, 1), dense = number(0, 1);
  // Panels one after another, as weights are, or side by side, as packed columns are.
  const int64_t b_panel = dense ? depth * k.lanes : unit, b_unit = dense ? unit : panels * unit;
  std::vector<uint16_t> a(all * a_row - a_gap, kNan), b(depth * panels * k.lanes);
  std::vector<float> c(all * c_row - c_gap), before;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < depth; ++j) a[i * a_row + j] = rounded(type, normal());
  for (uint16_t& value : b) value = rounded(type, normal());
  for (float& value : c) value = static_cast<float>(normal());
  before = c;
  k.multiply({rows, panels, depth, a.data(), a_row, b.data(), b_panel, b_unit, c.data(), c_row,
              accumulate});
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < c_row && i * c_row + j < static_cast<int64_t>(c.size()); ++j) {
      const int64_t panel = j / k.lanes, lane = j % k.lanes;
      double sum = before[i * c_row + j], size = std::abs(sum);
      if (panel < panels) {
        if (!accumulate) sum = size = 0;
        for (int64_t d = 0; d < depth; ++d) {
          const uint16_t right =
              b[panel * b_panel + d / k.unit * b_unit + lane * k.unit + d % k.unit];
          const double product = static_cast<double>(type.value(a[i * a_row + d])) *
                                 static_cast<double>(type.value(right));
          sum += product, size += std::abs(product);
        }
      }
      const double found = c[i * c_row + j];
      if (!(std::abs(found - sum) <= size * static_cast<double>(depth) * std::ldexp(1, -23)))
        differs(name + " product, " + std::to_string(rows) + " rows, " + std::to_string(panels) +
                    " panels, depth " + std::to_string(depth) + ", at " + std::to_string(i) + ", " +
                    std::to_string(j),
                found, sum);
    }
}

void check_pack(const std::string& name, const MatrixKernels& k, const Type& type) {
  const int64_t rows = number(1, 40), columns = number(1, 90), from_row = columns + number(0, 5),
                padded = (rows + kAmxDepth - 1) / kAmxDepth * kAmxDepth;
  std::vector<float> from(rows * from_row);
  for (float& value : from) value = static_cast<float>(normal());
  std::vector<uint16_t> to(padded * columns, kNan);
  k.pack(rows, padded, columns, from.data(), from_row, to.data());
  for (int64_t i = 0; i < padded; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      const uint16_t found = to[(i / k.unit * columns + j) * k.unit + i % k.unit],
                     expected = i < rows ? rounded(type, from[i * from_row + j]) : 0;
      if (found != expected)
        differs(name + " pack, at " + std::to_string(i) + ", " + std::to_string(j),
                type.value(found), type.value(expected));
    }
}

void check_copy(const std::string& name, const MatrixKernels& k) {
  const int64_t rows = number(1, 80), columns = number(1, 80);
  // What lies side by side: the rows' values, the columns', or neither.
  const auto steps = [&](int64_t& i, int64_t& j) {
    const int64_t gap = number(0, 3);
    switch (number(0, 2)) {
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
  for (uint16_t& value : in) value = static_cast<uint16_t>(generator());
  std::vector<uint16_t> expected = out;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) expected[i * out_i + j * out_j] = in[i * in_i + j * in_j];
  k.copy(rows, columns, in.data(), in_i, in_j, out.data(), out_i, out_j);
  for (size_t i = 0; i < out.size(); ++i)
    if (out[i] != expected[i]) differs(name + " copy", out[i], expected[i]);
}

/// One tap of an image whose channels are one run; every other time without offsets and with a mask
/// of one, where columns are the pixels, bit by bit.
void check_gather(const std::string& name, const MatrixKernels& k, const Type& type) {
  const int64_t height = number(1, 6), width = number(1, 6), channels = number(1, 140),
                positions = height * width, padded = (positions + kBlock - 1) / kBlock * kBlock;
  const bool exact = number(0, 1);
  std::vector<uint16_t> image(positions * channels), outside(channels, 0),
      columns(positions * channels, kNan);
  for (uint16_t& value : image) value = rounded(type, normal());
  std::vector<float> offsets(2 * padded, 0), masks(padded, 1);
  std::vector<int32_t> row(padded, 0), column(padded, 0);
  const int32_t zero = 0;
  for (int64_t i = 0; i < positions; ++i) {
    row[i] = static_cast<int32_t>(i / width), column[i] = static_cast<int32_t>(i % width);
    if (exact) continue;
    offsets[i] = static_cast<float>(2 * normal());
    offsets[padded + i] = static_cast<float>(2 * normal());
    masks[i] = static_cast<float>(normal());
  }
  const Run run{0, 0, channels, 0};
  k.gather({positions,
            0,
            1,
            {1, offsets.data(), masks.data(), padded, row.data(), column.data(), &zero, &zero,
             height, width},
            &run,
            1,
            {image.data(), channels, 0, outside.data()},
            columns.data(),
            channels,
            channels});
  for (int64_t i = 0; i < positions; ++i)
    for (int64_t c = 0; c < channels; ++c) {
      const double y = row[i] + offsets[i], x = column[i] + offsets[padded + i];
      double sum = 0, size = 0;
      for (int64_t v = 0; v < height; ++v)
        for (int64_t u = 0; u < width; ++u) {
          const double weight = std::max(0.0, 1 - std::abs(y - static_cast<double>(v))) *
                                std::max(0.0, 1 - std::abs(x - static_cast<double>(u))) * masks[i];
          const double part = weight * type.value(image[(v * width + u) * channels + c]);
          sum += part, size += std::abs(part);
        }
      const uint16_t found = columns[i * channels + c];
      const bool same = exact ? found == image[i * channels + c]
                              : std::abs(type.value(found) - sum) <=
                                    std::abs(sum) * std::ldexp(1, -type.bits) + size * 1e-5 + 1e-7;
      if (!same)
        differs(name + " gather, " + std::to_string(channels) + " channels, at " +
                    std::to_string(i) + ", " + std::to_string(c),
                type.value(found), sum);
    }
}

MatrixKernels with_tiles(MatrixKernels kernels, void (*multiply)(const MatrixProduct&)) {
  kernels.multiply = multiply, kernels.row_step = kAmxRows, kernels.depth_step = kAmxDepth;
  return kernels;
}

}  // namespace

int main() {
  const struct {
    const char* name;
    MatrixKernels kernels;
    const Type& type;
  } levels[] = {
      {"avx512bf16", avx512bf16_bfloat16, kBFloat16},
      {"amx", with_tiles(avx512bf16_bfloat16, multiply_amx_bfloat16), kBFloat16},
      {"amx_fp16", with_tiles(avx512bf16_half, multiply_amx_half), kHalf},
  };
  constexpr int times = 60;
  for (const auto& level : levels)
    for (int i = 0; i < times; ++i) {
      const std::string name = std::string(level.name) + " " + level.type.name;
      check_product(name, level.kernels, level.type);
      check_pack(name, level.kernels, level.type);
      check_copy(name, level.kernels);
      check_gather(name, level.kernels, level.type);
    }
  std::puts("the same");
  return 0;
}
