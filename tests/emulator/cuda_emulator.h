// CUDA on the CPU, as far as the kernels of dcnbuild use it: the same kernel source, compiled by a
// C++ compiler and run thread by thread.
//
// Every CUDA thread of a block is a fiber; __syncthreads and shuffles switch to the next one. The
// threads of a block run in one of several orders (forward, reversed, shuffled by a seed), and so
// do the blocks, which may also be dealt out to OS threads. What a GPU leaves undefined is an error
// here: a barrier or shuffle that some of its threads never reach, a launch with no blocks.
//
// It checks the code that the C++ compiler made of the kernels, not nvcc's.
#pragma once

#ifdef TORCH_TARGET_VERSION
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>
namespace half_types = torch::headeronly;
#else  // as in csrc/common/torch_api.h; no more of torch than these two types
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>
namespace half_types = c10;
#endif

#include <atomic>
#include <cstring>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "scheduler.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
// A block runs on one OS thread from beginning to end, so its shared memory can be that thread's.
// With nothing to initialise, or the check whether that was done would look like a race.
#define __shared__ static thread_local __constinit

#define threadIdx (::emulator::thread_index())
#define blockIdx (::emulator::block_index())

// Types of their own, so that kernels have the names that nvcc and NVRTC give them.
struct __half : half_types::Half {
  using half_types::Half::Half;
};
struct __nv_bfloat16 : half_types::BFloat16 {
  using half_types::BFloat16::BFloat16;
};

struct float4 {
  float x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

enum cudaError_t { cudaSuccess, cudaErrorInvalidConfiguration, cudaErrorLaunchFailure };
using cudaStream_t = void*;

namespace emulator {

inline Index thread_index() { return {current_block()->running(), 0, 0}; }
inline Index block_index() { return {current_block()->index, 0, 0}; }

/// Adds to memory as a GPU's atomics do: relaxed.
template <typename T>
inline T atomic_add(T* to, T value) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  auto* bits = reinterpret_cast<Bits*>(to);
  Bits old = __atomic_load_n(bits, __ATOMIC_RELAXED), wanted;
  T before;
  do {
    std::memcpy(&before, &old, sizeof(T));
    const T after = before + value;
    std::memcpy(&wanted, &after, sizeof(T));
  } while (
      !__atomic_compare_exchange_n(bits, &old, wanted, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return before;
}

/// kernel<<<blocks, threads>>>(args...), waited for.
template <typename... Parameters, typename... Args>
cudaError_t launch(unsigned blocks, unsigned threads, cudaStream_t /*stream*/,
                   void (*kernel)(Parameters...), Args&&... args) {
  if (!settings().failure.empty() && settings().launches_before_failure-- == 0) {
    last_error() = std::exchange(settings().failure, "");
    return cudaErrorLaunchFailure;
  }
  const std::tuple<std::decay_t<Parameters>...> parameters(std::forward<Args>(args)...);
  if (blocks == 0 || threads == 0 || threads > 1024) {
    last_error() = "invalid configuration argument";
    return cudaErrorInvalidConfiguration;
  }
  const std::string error = run_grid(blocks, threads, [&] { std::apply(kernel, parameters); });
  if (error.empty()) return cudaSuccess;
  last_error() = error;
  return cudaErrorLaunchFailure;
}

}  // namespace emulator

namespace dcnbuild::cuda {

template <typename... Parameters>
using Kernel = void (*)(Parameters...);

#ifndef DCNBUILD_GLOBAL  // tests/emulator/driver.cpp has another
#define DCNBUILD_GLOBAL(name, ...) (name<__VA_ARGS__>)
#endif

template <typename... Parameters, typename... Args>
cudaError_t start(Kernel<Parameters...> kernel, unsigned blocks, unsigned threads,
                  cudaStream_t stream, Args&&... args) {
  return emulator::launch(blocks, threads, stream, kernel, std::forward<Args>(args)...);
}

}  // namespace dcnbuild::cuda

inline const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaSuccess ? "no error" : emulator::last_error().c_str();
}

// The line of the call tells a barrier from another one.
inline void __syncthreads(int line = __builtin_LINE()) {
  emulator::current_block()->wait_for_block(line);
}

template <typename T>
inline T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int line = __builtin_LINE()) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = emulator::current_block()->exchange(mask, bits, lane_mask, line);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

inline void __syncwarp(unsigned mask = 0xffffffffu, int line = __builtin_LINE()) {
  emulator::current_block()->wait_for_warp(mask, line);
}

inline float atomicAdd(float* to, float value) { return emulator::atomic_add(to, value); }
inline double atomicAdd(double* to, double value) { return emulator::atomic_add(to, value); }
inline float4 atomicAdd(float4* to, float4 value) {
  return {atomicAdd(&to->x, value.x), atomicAdd(&to->y, value.y), atomicAdd(&to->z, value.z),
          atomicAdd(&to->w, value.w)};
}
