// The matrix product of one tile, for every order in which A can lie in memory.
#include "checks.h"

namespace checks {
namespace {

template <typename T>
void check_product(const Kernels<T>& kernels, Random& random) {
  const int64_t lanes = kernels.lanes;
  Product<T> p{};
  p.rows = random.whole(0, 29), p.panels = random.whole(0, 5);
  p.outer = random.whole(1, 3), p.inner = random.whole(0, 21);
  const int64_t gap = random.whole(0, 3);
  const int order = static_cast<int>(random.whole(0, 2));
  if (order == 0) {  // channels of a position side by side
    p.a_inner = 1, p.a_outer = p.inner + gap, p.a_row = p.outer * p.a_outer + gap;
  } else if (order == 1) {  // positions of a channel side by side
    p.a_row = 1, p.a_inner = p.rows + gap, p.a_outer = p.inner * p.a_inner;
  } else {
    p.a_inner = 2, p.a_outer = 2 * p.inner + 3, p.a_row = p.outer * p.a_outer + gap;
  }
  p.b_inner = lanes * random.whole(1, 2), p.b_outer = p.inner * p.b_inner + random.whole(0, 1),
  p.b_panel = p.outer * p.b_outer + gap;
  p.c_row = p.panels * lanes + gap;
  p.accumulate = random.coin();

  const auto numbers = [&](int64_t size) {
    std::vector<T> made(size);
    for (T& number : made) number = static_cast<T>(random.real(-2, 2));
    return made;
  };
  const int64_t a_size = p.rows * p.a_row + p.outer * p.a_outer + p.inner * p.a_inner;
  const std::vector<T> a = numbers(a_size), b = numbers(p.panels * p.b_panel + 2 * lanes);
  std::vector<T> c = numbers(p.rows * p.c_row);
  Expected<T> expected(c);
  for (int64_t i = 0; i < p.rows; ++i)
    for (int64_t panel = 0; panel < p.panels; ++panel)
      for (int64_t lane = 0; lane < lanes; ++lane) {
        const int64_t at = i * p.c_row + panel * lanes + lane;
        long double sum = p.accumulate ? c[at] : T(0);
        double size = std::abs(static_cast<double>(sum));
        for (int64_t o = 0; o < p.outer; ++o)
          for (int64_t k = 0; k < p.inner; ++k) {
            const long double term =
                static_cast<long double>(a[i * p.a_row + o * p.a_outer + k * p.a_inner]) *
                b[panel * p.b_panel + o * p.b_outer + k * p.b_inner + lane];
            sum += term, size += std::abs(static_cast<double>(term));
          }
        const double steps = static_cast<double>(p.outer * p.inner + 2);
        expected.set(at, static_cast<double>(sum), steps * kEpsilon<T> * size);
      }
  p.a = a.data(), p.b = b.data(), p.c = c.data();
  kernels.multiply(p);
  expected.compare(c, "product of " + std::to_string(p.rows) + " rows, " +
                          std::to_string(p.panels) + " panels, depth " + std::to_string(p.outer) +
                          " x " + std::to_string(p.inner) + ", order " + std::to_string(order));
}

}  // namespace

void check_products(const KernelTable& table) {
  Random random(1);
  for (int i = 0; i < 300; ++i) {
    check_product(table.float_kernels, random);
    check_product(table.double_kernels, random);
  }
}

}  // namespace checks
