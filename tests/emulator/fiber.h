// Fibers: functions with a stack of their own that can be left and entered again.
//
// A hand-written stack switch on x86-64 and aarch64, because a kernel with barriers switches
// millions of times and ucontext makes two system calls each time; ucontext elsewhere. The
// sanitizers are told of every switch.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__)
// Saves the callee-saved registers of the System V ABI on the stack, stores the stack pointer in
// *rdi, continues with the stack rsi.
asm(R"(
  .text
  .weak dcnbuild_switch_stack
  .hidden dcnbuild_switch_stack
  .type dcnbuild_switch_stack, @function
dcnbuild_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size dcnbuild_switch_stack, . - dcnbuild_switch_stack
)");
#define EMULATOR_SWITCH_STACK 1
#elif defined(__aarch64__)
// The same for AAPCS64: x19 to x30 and the low halves of v8 to v15.
asm(R"(
  .text
  .weak dcnbuild_switch_stack
  .hidden dcnbuild_switch_stack
  .type dcnbuild_switch_stack, %function
dcnbuild_switch_stack:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size dcnbuild_switch_stack, . - dcnbuild_switch_stack
)");
#define EMULATOR_SWITCH_STACK 1
#else
#include <ucontext.h>
#endif

#if defined(__SANITIZE_THREAD__)
#define EMULATOR_UNSEEN_BY_TSAN __attribute__((no_sanitize("thread")))
#else
#define EMULATOR_UNSEEN_BY_TSAN
#endif

#ifdef EMULATOR_SWITCH_STACK
extern "C"
    __attribute__((visibility("hidden"))) void dcnbuild_switch_stack(void** save, void* load);
#endif

namespace emulator {

/// One side of a switch: the context that is left or entered.
class Context {
 public:
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// Makes this the context of the calling thread itself.
  void adopt_thread() {
#if defined(__SANITIZE_THREAD__)
    tsan_ = __tsan_get_current_fiber();
#endif
#if defined(__SANITIZE_ADDRESS__)
    stack_ = nullptr, fake_stack_ = nullptr;
#endif
  }

  /// Leaves `from`, which is running, for `to`.
  EMULATOR_UNSEEN_BY_TSAN static void swap(Context& from, Context& to) {
#if defined(__SANITIZE_THREAD__)
    // Not a synchronisation: what one CUDA thread wrote, another sees after a barrier only.
    __tsan_switch_to_fiber(to.tsan_, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&from.fake_stack_, to.stack_, to.stack_size_);
    to.came_from_ = &from;
#endif
#ifdef EMULATOR_SWITCH_STACK
    dcnbuild_switch_stack(&from.stack_pointer_, to.stack_pointer_);
#else
    swapcontext(&from.ucontext_, &to.ucontext_);
#endif
    from.entered();
  }

 protected:
  void entered() {
#if defined(__SANITIZE_ADDRESS__)
    const void* bottom = nullptr;
    size_t size = 0;
    __sanitizer_finish_switch_fiber(fake_stack_, &bottom, &size);
    // The stack of the thread itself becomes known when it is first left.
    if (came_from_->stack_ == nullptr) came_from_->stack_ = bottom, came_from_->stack_size_ = size;
#endif
  }

  const void* stack_ = nullptr;
  size_t stack_size_ = 0;
#ifdef EMULATOR_SWITCH_STACK
  void* stack_pointer_ = nullptr;
#else
  ucontext_t ucontext_{};
#endif
#if defined(__SANITIZE_ADDRESS__)
  void* fake_stack_ = nullptr;
  Context* came_from_ = nullptr;
#endif
#if defined(__SANITIZE_THREAD__)
  void* tsan_ = nullptr;
#endif
};

/// A context with a stack of its own. `main` must never return, and switches away for the last time
/// when it is done; `start` makes it run from its beginning again.
class Fiber : public Context {
 public:
  using Main = void (*)();

  Fiber() {
    void* memory = mmap(nullptr, kStack, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
      std::perror("emulator: no memory for the stack of a fiber");
      std::abort();
    }
    stack_ = memory, stack_size_ = kStack;
#if defined(__SANITIZE_THREAD__)
    tsan_ = __tsan_create_fiber(0);
#endif
  }
  ~Fiber() {
#if defined(__SANITIZE_THREAD__)
    __tsan_destroy_fiber(tsan_);
#endif
    munmap(const_cast<void*>(stack_), kStack);
  }

  void start(Main main) {
#if defined(__SANITIZE_ADDRESS__)
    // What a run that was given up left on the stack.
    __asan_unpoison_memory_region(stack_, stack_size_);
    fake_stack_ = nullptr;
#endif
#ifdef EMULATOR_SWITCH_STACK
    // What a switch pops: the saved registers, then the address that it returns to.
    auto* top =
        reinterpret_cast<uintptr_t*>(static_cast<char*>(const_cast<void*>(stack_)) + kStack);
#if defined(__x86_64__)
    top -= 8;
    top[6] = reinterpret_cast<uintptr_t>(main);  // leaves the stack aligned as after a call
    std::fill(top, top + 6, 0);
#else
    top -= 20;
    std::fill(top, top + 20, 0);
    top[11] = reinterpret_cast<uintptr_t>(main);  // x30
#endif
    stack_pointer_ = top;
#else
    getcontext(&ucontext_);
    ucontext_.uc_stack.ss_sp = const_cast<void*>(stack_);
    ucontext_.uc_stack.ss_size = kStack;
    makecontext(&ucontext_, main, 0);
#endif
  }

  /// To be called first thing in main.
  void begun() { entered(); }

 private:
  static constexpr size_t kStack = 256 << 10;
};

}  // namespace emulator
