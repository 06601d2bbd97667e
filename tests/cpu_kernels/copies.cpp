// Copies with conversion: every number of the half types, and every order of the strides.
#include "checks.h"

namespace checks {
namespace {

uint32_t bits_of(float number) {
  uint32_t bits;
  std::memcpy(&bits, &number, sizeof(bits));
  return bits;
}

float float_of(uint32_t bits) {
  float number;
  std::memcpy(&number, &bits, sizeof(number));
  return number;
}

/// Every number of 16 bits becomes the float of its value.
void check_reading(const Half& type, Copy read, const std::string& what) {
  std::vector<uint16_t> from(65536);
  for (int i = 0; i < 65536; ++i) from[i] = static_cast<uint16_t>(i);
  std::vector<float> to(from.size());
  read(1, 65536, from.data(), 65536, 1, to.data(), 65536, 1);
  for (int i = 0; i < 65536; ++i) {
    const double value = decoded(type, from[i]);
    expect(std::isnan(value) ? std::isnan(to[i])
                             : to[i] == value && std::signbit(to[i]) == std::signbit(value),
           what + " reads " + std::to_string(i));
  }
}

/// Floats near every number of 16 bits, between two, and anywhere, become the nearest.
void check_writing(const Half& type, Copy write, Random& random, const std::string& what) {
  std::vector<float> from;
  for (uint32_t i = 0; i < 65536; i += 3) {
    const double value = decoded(type, static_cast<uint16_t>(i)),
                 next = decoded(type, static_cast<uint16_t>(i + 1));
    for (const double number : {value, (value + next) / 2}) {
      const uint32_t bits = bits_of(static_cast<float>(number));
      for (const uint32_t step : {0u, 1u, ~0u}) from.push_back(float_of(bits + step));
    }
  }
  for (int i = 0; i < 20000; ++i) from.push_back(float_of(random.bits()));
  std::vector<uint16_t> to(from.size());
  const auto size = static_cast<int64_t>(from.size());
  write(1, size, from.data(), size, 1, to.data(), size, 1);
  for (size_t i = 0; i < from.size(); ++i) {
    const double expected = nearest(type, from[i]), actual = decoded(type, to[i]);
    expect(std::isnan(expected)
               ? std::isnan(actual)
               : actual == expected && std::signbit(actual) == std::signbit(from[i]),
           what + " writes the bits " + std::to_string(bits_of(from[i])));
  }
}

/// `rows` x `columns` values in each order of the strides.
template <typename From, typename To, typename Convert>
void check_order(Copy copy, Random& random, const Convert& convert, const std::string& what) {
  const int64_t rows = random.whole(0, 70), columns = random.whole(0, 70), gap = random.whole(0, 3);
  const auto strides = [&](int order) {
    struct {
      int64_t i, j;
    } made{columns + gap, 1};
    if (order == 1) made = {1, rows + gap};
    if (order == 2) made = {2 * columns + gap, 2};
    return made;
  };
  const int in_order = static_cast<int>(random.whole(0, 2)),
            out_order = static_cast<int>(random.whole(0, 2));
  const auto in = strides(in_order), out = strides(out_order);
  std::vector<From> from(rows * in.i + columns * in.j + 1);
  for (From& value : from) value = static_cast<From>(random.whole(0, 20000));
  std::vector<To> to(rows * out.i + columns * out.j + 1, static_cast<To>(77)), expected = to;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j)
      expected[i * out.i + j * out.j] = convert(from[i * in.i + j * in.j]);
  copy(rows, columns, from.data(), in.i, in.j, to.data(), out.i, out.j);
  expect(to == expected, what + " of " + std::to_string(rows) + " x " + std::to_string(columns) +
                             ", orders " + std::to_string(in_order) + ", " +
                             std::to_string(out_order));
}

/// Channels that are taken apart come back, and each is there once.
void check_splitting(const Kernels<float>& kernels, Random& random) {
  const int64_t rows = random.whole(1, 3), columns = random.whole(0, 100),
                step = random.whole(1, 2);
  std::vector<uint16_t> from(rows * columns * step + 1), back(rows * columns);
  for (uint16_t& bits : from) bits = encoded(kBFloat16, random.short_number());
  std::vector<float> apart(rows * columns);
  kernels.split_bfloat16(rows, columns, from.data(), columns * step, step, apart.data(), columns,
                         1);
  kernels.join_bfloat16(rows, columns, apart.data(), columns, 1, back.data(), columns, 1);
  for (int64_t i = 0; i < rows; ++i) {
    std::vector<float> given, got(apart.begin() + i * columns, apart.begin() + (i + 1) * columns);
    for (int64_t j = 0; j < columns; ++j) {
      const uint16_t bits = from[(i * columns + j) * step];
      given.push_back(static_cast<float>(decoded(kBFloat16, bits)));
      expect(back[i * columns + j] == bits, "a channel taken apart comes back");
    }
    std::sort(given.begin(), given.end()), std::sort(got.begin(), got.end());
    expect(given == got, "channels taken apart are the same channels");
  }
}

}  // namespace

void check_copies(const KernelTable& table) {
  const Kernels<float>& k = table.float_kernels;
  Random random(2);
  check_reading(kFloat16, k.from_half, "float16");
  check_reading(kBFloat16, k.from_bfloat16, "bfloat16");
  check_writing(kFloat16, k.to_half, random, "float16");
  check_writing(kBFloat16, k.to_bfloat16, random, "bfloat16");
  const auto bits = [](const Half& type) {
    return [&type](float number) { return encoded(type, nearest(type, number)); };
  };
  const auto value = [](const Half& type) {
    return [&type](uint16_t stored) { return static_cast<float>(decoded(type, stored)); };
  };
  for (int i = 0; i < 60; ++i) {
    check_order<float, float>(k.copy, random, [](float v) { return v; }, "copy of float");
    check_order<double, double>(
        table.double_kernels.copy, random, [](double v) { return v; }, "copy of double");
    check_order<uint16_t, float>(k.from_half, random, value(kFloat16), "copy from float16");
    check_order<uint16_t, float>(k.from_bfloat16, random, value(kBFloat16), "copy from bfloat16");
    check_order<float, uint16_t>(k.to_half, random, bits(kFloat16), "copy to float16");
    check_order<float, uint16_t>(k.to_bfloat16, random, bits(kBFloat16), "copy to bfloat16");
    check_splitting(k, random);
  }
}

}  // namespace checks
