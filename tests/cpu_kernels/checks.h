// What the checks of the CPU's inner kernels share: random numbers, comparisons, half types.
// No torch header, so that this also runs where torch does not.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/cpu/kernel_table.h"

namespace checks {

using namespace dcnbuild::cpu;

/// Numbers from one seed; the engine's are the same everywhere, those of std's distributions not.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  uint32_t bits() { return engine_(); }
  int64_t whole(int64_t least, int64_t most) { return least + bits() % (most - least + 1); }
  bool coin() { return whole(0, 1) == 1; }
  double real(double least, double most) {
    return least + (most - least) * (bits() / 4294967296.0);
  }
  /// A number that every dtype holds exactly.
  double short_number() { return static_cast<double>(whole(-127, 127)) / 64; }

 private:
  std::mt19937 engine_;
};

struct Count {
  long compared = 0, failed = 0;
};
inline Count count;

/// Counts a comparison, and prints the first that fail.
inline void expect(bool holds, const std::string& what) {
  ++count.compared;
  if (!holds && ++count.failed <= 20) std::printf("FAILED %s\n", what.c_str());
}

/// NaN equals NaN. `place`, if not negative, is an index, which only a failure spells out.
inline void expect_near(double actual, double expected, double bound, const std::string& what,
                        int64_t place = -1) {
  if (std::isnan(expected) ? std::isnan(actual) : std::abs(actual - expected) <= bound) {
    ++count.compared;
    return;
  }
  expect(false, what + (place < 0 ? "" : " [" + std::to_string(place) + "]") + ": got " +
                    std::to_string(actual) + ", expected " + std::to_string(expected) + " up to " +
                    std::to_string(bound));
}

/// What a kernel shall have written: values and their bounds. What it shall not touch has bound 0.
template <typename T>
struct Expected {
  std::vector<double> value, bound;

  explicit Expected(const std::vector<T>& before)
      : value(before.begin(), before.end()), bound(before.size(), 0) {}
  void add(int64_t i, double term, double error) { value[i] += term, bound[i] += error; }
  void set(int64_t i, double to, double error) { value[i] = to, bound[i] = error; }
  void compare(const std::vector<T>& actual, const std::string& what) const {
    for (size_t i = 0; i < actual.size(); ++i)
      expect_near(static_cast<double>(actual[i]), value[i], bound[i], what,
                  static_cast<int64_t>(i));
  }
};

template <typename T>
constexpr double kEpsilon = std::numeric_limits<T>::epsilon();

/// A floating-point type of 16 bits.
struct Half {
  int fraction, bias;  // bits
  double largest;
};
constexpr Half kFloat16{10, 15, 65504}, kBFloat16{7, 127, 3.3895313892515355e38};

/// The value of the bits, by the definition of the format.
inline double decoded(const Half& type, uint16_t bits) {
  const int exponents = 15 - type.fraction,
            exponent = (bits >> type.fraction) & ((1 << exponents) - 1);
  const int fraction = bits & ((1 << type.fraction) - 1);
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponents) - 1)
    return fraction ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  const int leading = exponent ? 1 << type.fraction : 0;
  return sign * std::ldexp(leading + fraction, std::max(exponent, 1) - type.bias - type.fraction);
}

/// The nearest value of the format, ties to even.
inline double nearest(const Half& type, double number) {
  if (std::isnan(number) || std::isinf(number) || number == 0) return number;
  const int exponent = std::max(std::ilogb(number), 1 - type.bias) - type.fraction;
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(number, -exponent)), exponent);
  return std::abs(rounded) > type.largest
             ? std::copysign(std::numeric_limits<double>::infinity(), number)
             : rounded;
}

/// The bits of a number that the format holds.
inline uint16_t encoded(const Half& type, double number) {
  const uint16_t sign = std::signbit(number) ? 0x8000 : 0;
  const double magnitude = std::abs(number);
  if (magnitude == 0) return sign;
  const int exponent = std::max(std::ilogb(magnitude), 1 - type.bias);
  const auto digits =
      static_cast<int>(std::ldexp(magnitude, type.fraction - exponent));  // with the leading one
  const bool normal = digits >> type.fraction;
  return static_cast<uint16_t>(sign | (normal ? (exponent + type.bias - 1) << type.fraction : 0)) +
         static_cast<uint16_t>(digits);
}

/// How a dtype lies in memory.
enum class Stored { same, half, bfloat16 };

template <typename T>
int64_t size_of(Stored stored) {
  return stored == Stored::same ? sizeof(T) : 2;
}

/// Puts a number that the dtype holds into memory.
template <typename T>
void put(Stored stored, void* to, double number) {
  if (stored == Stored::same) {
    const T value = static_cast<T>(number);
    std::memcpy(to, &value, sizeof(value));
  } else {
    const uint16_t bits = encoded(stored == Stored::half ? kFloat16 : kBFloat16, number);
    std::memcpy(to, &bits, sizeof(bits));
  }
}

/// The four neighbours of (y, x), their weights, and the weights' derivatives, by the definition.
struct Neighbours {
  bool exists[4];
  int64_t y[4], x[4];
  double weight[4], by_y[4], by_x[4];
  bool outside;  // the sample does not count

  Neighbours(double at_y, double at_x, int64_t height, int64_t width)
      : outside(!(at_y > -1 && at_y < static_cast<double>(height) && at_x > -1 &&
                  at_x < static_cast<double>(width))) {
    for (int i = 0; i < 4; ++i) {
      const double top = std::floor(at_y), left = std::floor(at_x);
      const double below = at_y - top, right = at_x - left;
      exists[i] = false;
      if (outside) continue;
      y[i] = static_cast<int64_t>(top) + i / 2, x[i] = static_cast<int64_t>(left) + i % 2;
      exists[i] = y[i] >= 0 && y[i] < height && x[i] >= 0 && x[i] < width;
      const double wy = i / 2 ? below : 1 - below, wx = i % 2 ? right : 1 - right;
      weight[i] = wy * wx;
      by_y[i] = (i / 2 ? 1 : -1) * wx;
      by_x[i] = (i % 2 ? 1 : -1) * wy;
    }
  }
};

template <typename T>
const Kernels<T>& kernels_of(const KernelTable& table) {
  if constexpr (sizeof(T) == 8)
    return table.double_kernels;
  else
    return table.float_kernels;
}

/// The kernel for what lies in memory.
template <typename Argument>
auto of(const OfStored<Argument>& kernels, Stored stored) {
  if (stored == Stored::half) return kernels.half;
  return stored == Stored::bfloat16 ? kernels.bfloat16 : kernels.same;
}

inline const char* name_of(Stored stored) {
  return stored == Stored::same ? "same" : stored == Stored::half ? "float16" : "bfloat16";
}

/// The channel that lies at each place where channels of bfloat16 are split (copy.h), or each at
/// its own.
inline std::vector<int64_t> channel_order(const KernelTable& table, int64_t channels, bool split) {
  std::vector<int64_t> order(channels);
  for (int64_t c = 0; c < channels; ++c) order[c] = c;
  if (!split) return order;
  std::vector<uint16_t> from(channels);
  std::vector<float> to(channels);
  for (int64_t c = 0; c < channels; ++c) from[c] = encoded(kBFloat16, static_cast<double>(c));
  table.float_kernels.split_bfloat16(1, channels, from.data(), channels, 1, to.data(), channels, 1);
  for (int64_t c = 0; c < channels; ++c) order[c] = static_cast<int64_t>(to[c]);
  return order;
}

void check_products(const KernelTable& table);
void check_copies(const KernelTable& table);
void check_convolution(const KernelTable& table);
void check_attention(const KernelTable& table);
void check_corner_sums(const KernelTable& table);
void check_matrix(const std::string& name, const MatrixKernels& kernels, const Half& type);

}  // namespace checks
