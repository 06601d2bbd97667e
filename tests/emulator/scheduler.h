// Runs the threads of a block as fibers, and the blocks of a grid one after another or on several
// OS threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "fiber.h"

namespace emulator {

enum class Order { forward, reversed, shuffled };

/// How grids are run. One for the process: set it between launches.
struct Settings {
  Order order = Order::forward;
  uint64_t seed = 0;
  int os_threads = 1;
  std::string failure;                  // a launch is to fail with this message, if there is one,
  int64_t launches_before_failure = 0;  // after so many that do not
};

inline Settings& settings() {
  static Settings instance;
  return instance;
}

/// The message of the last launch that failed.
inline std::string& last_error() {
  static std::string instance;
  return instance;
}

/// The blocks of every launch since this was last cleared.
inline std::vector<unsigned>& launches() {
  static std::vector<unsigned> instance;
  return instance;
}

struct Index {
  unsigned x, y, z;
};

inline std::vector<unsigned> ordered(unsigned count, uint64_t salt) {
  std::vector<unsigned> order(count);
  std::iota(order.begin(), order.end(), 0u);
  if (settings().order == Order::reversed) std::reverse(order.begin(), order.end());
  if (settings().order == Order::shuffled) {
    std::mt19937_64 random(settings().seed * 1000003 + salt);
    std::shuffle(order.begin(), order.end(), random);
  }
  return order;
}

// What CUDA threads publish to one another must not look like their kernel's own accesses to
// ThreadSanitizer, nor order them: only barriers do.
#if defined(__SANITIZE_THREAD__)
inline void publish(void* address) { __tsan_release(address); }
inline void observe(void* address) { __tsan_acquire(address); }
#else
inline void publish(void*) {}
inline void observe(void*) {}
#endif

/// The threads of one block at a time. One for each OS thread, kept from launch to launch, since
/// fibers are costly to make.
class Block {
  // State that CUDA threads share with the scheduler; see publish() for what orders them.
  static constexpr auto relaxed = std::memory_order_relaxed;

 public:
  unsigned index = 0;

  unsigned running() const { return running_.load(relaxed); }

  /// Runs `threads` fibers of body to their end; returns what went wrong, or nothing.
  std::string run(unsigned block, unsigned threads, const std::function<void()>& body) {
    scheduler_.adopt_thread();
    index = block;
    body_ = &body;
    count_ = threads;
    while (threads_.size() < threads) threads_.push_back(std::make_unique<Thread>());
    const std::vector<unsigned> order = ordered(threads, block);
    publish(&begin_);
    for (unsigned t = 0; t < threads; ++t) {
      threads_[t]->state.store(State::ready, relaxed);
      threads_[t]->posts.store(0, relaxed);
      threads_[t]->fiber.start(&Block::fiber_main);
    }
    for (;;) {
      progress_.store(false, relaxed);
      for (const unsigned t : order) {
        if (threads_[t]->state.load(relaxed) != State::ready) continue;
        running_.store(t, relaxed);
        Context::swap(scheduler_, threads_[t]->fiber);
      }
      observe(&end_);
      const unsigned done = in_state(State::done), waiting = in_state(State::at_barrier);
      if (done == threads) return "";
      if (waiting == threads) {
        if (!one_line()) return "__syncthreads: threads of a block wait at different barriers";
        for (unsigned t = 0; t < threads; ++t) threads_[t]->state.store(State::ready, relaxed);
      } else if (!progress_.load(relaxed)) {
        return waiting > 0 ? "__syncthreads: not all threads of the block reach the barrier"
                           : "__shfl_xor_sync: not all threads of the mask reach the shuffle";
      }
    }
  }

  void wait_for_block(int line) {
    Thread& self = *threads_[running()];
    self.line.store(line, relaxed);
    self.state.store(State::at_barrier, relaxed);
    progress_.store(true, relaxed);
    publish(&barrier_);
    Context::swap(self.fiber, scheduler_);
    observe(&barrier_);
  }

  /// Waits for the threads of `mask`, a part of this warp, and orders memory among them, which an
  /// exchange does not.
  void wait_for_warp(unsigned mask, int line) {
    const unsigned me = running();
    char* barrier = threads_[me & ~31u]->warp_barrier + threads_[me]->posts.load(relaxed) % 2;
    publish(barrier);
    exchange(mask, 0, 0, line);
    observe(barrier);
  }

  /// Gives `bits` to the warp and takes what thread (own lane ^ lane_mask) gave. All threads of
  /// `mask` must come, each with the same mask.
  uint64_t exchange(unsigned mask, uint64_t bits, int lane_mask, int line) {
    const unsigned me = running(), warp = me & ~31u, lane = me & 31u;
    Thread& self = *threads_[me];
    const unsigned post = self.posts.load(relaxed);
    // Two slots: a thread can be one exchange ahead of another, never two.
    self.given[post % 2].store(bits, relaxed);
    self.mask.store(mask, relaxed);
    self.line.store(line, relaxed);
    self.posts.store(post + 1, relaxed);
    progress_.store(true, relaxed);
    if ((mask >> lane & 1) == 0) fail("__shfl_xor_sync: the calling thread is not in its mask");
    while (!all_posted(warp, mask, post + 1)) {
      Context::swap(self.fiber, scheduler_);
    }
    const unsigned other = lane ^ static_cast<unsigned>(lane_mask);
    // CUDA leaves the value undefined if the other lane does not take part.
    if (other > 31 || (mask >> other & 1) == 0) return 0x7ff4dead7fc0deadu;
    return threads_[warp + other]->given[post % 2].load(relaxed);
  }

 private:
  enum class State { ready, at_barrier, done };
  struct Thread {
    Fiber fiber;
    std::atomic<State> state{State::done};
    std::atomic<int> line{0};
    std::atomic<unsigned> posts{0}, mask{0};
    std::atomic<uint64_t> given[2];
    char warp_barrier[2] = {};  // as barrier_ below, in the first thread of a warp
  };

  static void fiber_main();

  [[noreturn]] static void fail(const char* message) {
    std::fprintf(stderr, "emulator: %s\n", message);
    std::abort();
  }

  unsigned in_state(State state) const {
    unsigned count = 0;
    for (unsigned t = 0; t < count_; ++t) count += threads_[t]->state.load(relaxed) == state;
    return count;
  }

  bool one_line() const {
    for (unsigned t = 1; t < count_; ++t)
      if (threads_[t]->line.load(relaxed) != threads_[0]->line.load(relaxed)) return false;
    return true;
  }

  bool all_posted(unsigned warp, unsigned mask, unsigned posts) const {
    for (unsigned lane = 0; lane < 32; ++lane) {
      if ((mask >> lane & 1) == 0) continue;
      if (warp + lane >= count_ || threads_[warp + lane]->posts.load(relaxed) < posts) return false;
      if (threads_[warp + lane]->posts.load(relaxed) == posts &&
          threads_[warp + lane]->mask.load(relaxed) != mask)
        fail("__shfl_xor_sync: threads of a warp call with different masks");
    }
    return true;
  }

  const std::function<void()>* body_ = nullptr;
  std::atomic<unsigned> running_{0};
  unsigned count_ = 0;
  // What is published at: two addresses, so that the end of one thread does not order another's
  // begin.
  char barrier_ = 0, begin_ = 0, end_ = 0;
  std::atomic<bool> progress_{false};
  Context scheduler_;
  std::vector<std::unique_ptr<Thread>> threads_;
};

inline std::atomic<Block*>& block_of_os_thread() {
  static thread_local std::atomic<Block*> block{nullptr};
  return block;
}

inline Block* current_block() { return block_of_os_thread().load(std::memory_order_relaxed); }

inline void Block::fiber_main() {
  Block& block = *current_block();
  observe(&block.begin_);
  Thread& self = *block.threads_[block.running()];
  self.fiber.begun();
  (*block.body_)();
  self.state.store(State::done, relaxed);
  block.progress_.store(true, relaxed);
  publish(&block.end_);
  Context::swap(self.fiber, block.scheduler_);
}

/// Runs every block of a grid; returns what went wrong first, or nothing.
inline std::string run_grid(unsigned blocks, unsigned threads, const std::function<void()>& body) {
  launches().push_back(blocks);
  const std::vector<unsigned> order = ordered(blocks, ~uint64_t(0));
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::string error;
  const auto work = [&](Block& block) {
    block_of_os_thread().store(&block, std::memory_order_relaxed);
    for (size_t i; (i = next.fetch_add(1)) < order.size();) {
      const std::string message = block.run(order[i], threads, body);
      if (message.empty()) continue;
      const std::lock_guard<std::mutex> lock(mutex);
      if (error.empty()) error = message;
      next.store(order.size());
    }
  };
  if (settings().os_threads <= 1) {
    static thread_local Block block;
    work(block);
    return error;
  }
  static std::vector<std::unique_ptr<Block>> kept;
  while (kept.size() < static_cast<size_t>(settings().os_threads))
    kept.push_back(std::make_unique<Block>());
  std::vector<std::thread> workers;
  for (int i = 0; i < settings().os_threads; ++i)
    workers.emplace_back([&work, &block = *kept[i]] { work(block); });
  for (std::thread& worker : workers) worker.join();
  return error;
}

}  // namespace emulator
