// Divides work among torch's threads.
#pragma once

#include <algorithm>
#include <atomic>

#include "common/torch_api.h"

namespace dcnbuild::cpu {

/// The number of threads that pays for so many multiplications.
inline int64_t workers_for(double multiplications) {
  constexpr int64_t least = 1 << 19;  // for which waking a thread pays
  const int64_t threads = thread_count();
  return multiplications / least >= static_cast<double>(threads)
             ? threads
             : std::max<int64_t>(static_cast<int64_t>(multiplications / least), 1);
}

/// Gives items to any worker that asks, in runs that become smaller.
class Claims {
 public:
  Claims(int64_t items, int64_t workers) : items_(items), workers_(workers) {}

  /// Claims runs of items and calls body(item) for each, until no item is left.
  template <typename F>
  void work(const F& body) {
    for (int64_t begin = next_.load(); begin < items_;) {
      const int64_t end = begin + std::max<int64_t>(1, (items_ - begin) / (4 * workers_));
      if (!next_.compare_exchange_weak(begin, end)) continue;
      for (int64_t item = begin; item < end; ++item) body(item);
      begin = next_.load();
    }
  }

 private:
  const int64_t items_, workers_;
  std::atomic<int64_t> next_{0};
};

/// Calls body() on each of several workers.
template <typename F>
void on_workers(int64_t workers, const F& body) {
  parallel_for(workers, 1, [&](int64_t begin, int64_t end) {
    for (int64_t worker = begin; worker < end; ++worker) body(worker);
  });
}

}  // namespace dcnbuild::cpu
