// Launches kernels, and loads, stores and adds vectors. No torch header.
#pragma once

#if defined(DCNBUILD_EMULATE_CUDA)
#include "cuda_emulator.h"  // tests/emulator: the same source, run on the CPU
#elif defined(DCNBUILD_NVRTC)
#include "common/nvrtc/kernel.h"  // plain C++: kernels are compiled and loaded when they are launched
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#endif

#include <cstdint>
#include <utility>

#include "common/cuda/blocks.h"
#include "common/sampling.h"

namespace dcnbuild::cuda {

// A route to the GPU says what a kernel of given parameters is (Kernel), how a kernel template's
// instance is named (DCNBUILD_GLOBAL) and how it is started (start). This is nvcc's.
#if !defined(DCNBUILD_EMULATE_CUDA) && !defined(DCNBUILD_NVRTC)
template <typename... Parameters>
using Kernel = void (*)(Parameters...);

#define DCNBUILD_GLOBAL(name, ...) (name<__VA_ARGS__>)

/// kernel<<<blocks, threads, 0, stream>>>(args...). The one place with chevrons.
template <typename... Parameters, typename... Args>
cudaError_t start(Kernel<Parameters...> kernel, unsigned blocks, unsigned threads,
                  cudaStream_t stream, Args&&... args) {
  kernel<<<blocks, threads, 0, stream>>>(std::forward<Args>(args)...);
  return cudaGetLastError();
}
#endif

/// Starts blocks of kThreads, and returns the launch's own error. Every launch comes through here.
template <typename... Parameters, typename... Args>
cudaError_t launch(Kernel<Parameters...> kernel, int64_t blocks, cudaStream_t stream,
                   Args&&... args) {
  if (blocks == 0) return cudaSuccess;  // a zero-sized grid is an error
  if (blocks >= int64_t(1) << 31) return cudaErrorInvalidConfiguration;
  return start(kernel, static_cast<unsigned>(blocks), kThreads, stream,
               std::forward<Args>(args)...);
}

/// Half types are summed in float.
template <typename T>
struct Accumulate {
  using type = float;
};
template <>
struct Accumulate<double> {
  using type = double;
};
template <typename T>
using acc_type = typename Accumulate<T>::type;

/// The number of blocks of a kernel that must fit an SM: half the threads of an A100 or H100, which
/// leaves 64 registers for each thread.
constexpr int kBlocksPerSM = 1024 / kThreads;

/// `width` values that one instruction loads or stores.
template <typename T, int width>
struct alignas(sizeof(T) * width) Pack {
  T values[width];
};

template <typename T>
constexpr int kVectorWidth = 16 / sizeof(T);

template <typename T, int width>
DCNBUILD_HD Pack<T, width> load(const T* from) {
  return *reinterpret_cast<const Pack<T, width>*>(from);
}

template <typename T, int width>
DCNBUILD_HD void store(T* to, const Pack<T, width>& values) {
  *reinterpret_cast<Pack<T, width>*>(to) = values;
}

/// Whether runs of values, at multiples of the given strides from `base`, can be read in 16-byte
/// vectors.
template <typename T, typename... Strides>
bool vectorizable(const T* base, Strides... multiples) {
  return reinterpret_cast<uintptr_t>(base) % 16 == 0 && ((multiples % kVectorWidth<T> == 0) && ...);
}

// Whether four neighbouring floats can be added to memory by one instruction. Elsewhere an addition
// takes single floats, and the lanes of a warp must take neighbouring ones to fill a sector.
#if defined(DCNBUILD_EMULATE_CUDA) || (defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900 && \
                                       __CUDACC_VER_MAJOR__ * 100 + __CUDACC_VER_MINOR__ >= 1201)
#define DCNBUILD_VECTOR_ATOMICS 1
#else
#define DCNBUILD_VECTOR_ATOMICS 0
#endif

/// The number of sums of acc_t that a kernel with vectors of `width` adds to memory at once.
template <typename acc_t, int width>
constexpr int kAtomicWidth =
    DCNBUILD_VECTOR_ATOMICS && sizeof(acc_t) == 4 && width % 4 == 0 ? 4 : 1;

/// atomicAdd; before sm_60 it does not take double, and a compare-and-swap loop replaces it.
template <typename acc_t>
__device__ __forceinline__ void atomic_add(acc_t* to, acc_t value) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 600
  if constexpr (sizeof(acc_t) == 8) {
    auto* bits = reinterpret_cast<unsigned long long*>(to);
    unsigned long long found = *bits, expected;
    do {
      expected = found;
      found = atomicCAS(bits, expected,
                        static_cast<unsigned long long>(__double_as_longlong(
                            value + __longlong_as_double(static_cast<long long>(expected)))));
    } while (found != expected);
  } else
#endif
    atomicAdd(to, value);
}

template <typename acc_t, int width>
__device__ __forceinline__ void atomic_add(acc_t* to, const acc_t (&values)[width]) {
#if DCNBUILD_VECTOR_ATOMICS
  if constexpr (width == 4)
    atomicAdd(reinterpret_cast<float4*>(to),
              make_float4(values[0], values[1], values[2], values[3]));
  else
#endif
    for (int j = 0; j < width; ++j) atomic_add(to + j, values[j]);
}

}  // namespace dcnbuild::cuda
