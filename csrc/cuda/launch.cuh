// How kernels are launched, and the vectors they load and store. No torch header.
#pragma once

#ifdef DCNBUILD_EMULATE_CUDA
#include "cuda_emulator.h"  // tests/emulator: the same source, run on the CPU
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <utility>

namespace dcnbuild::cuda {

/// kernel<<<blocks, threads, 0, stream>>>(args...), and the launch's own error. The one place with
/// chevrons.
template <typename... Parameters, typename... Args>
cudaError_t launch(void (*kernel)(Parameters...), unsigned blocks, unsigned threads,
                   cudaStream_t stream, Args&&... args) {
  if (blocks == 0) return cudaSuccess;  // a zero-sized grid is an error
  kernel<<<blocks, threads, 0, stream>>>(std::forward<Args>(args)...);
  return cudaGetLastError();
}

}  // namespace dcnbuild::cuda
#endif

#include <cstdint>

namespace dcnbuild::cuda {

constexpr int kThreads = 256;

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

/// `width` values that are loaded and stored by one instruction.
template <typename T, int width>
struct alignas(sizeof(T) * width) Pack {
  T values[width];
};

template <typename T>
constexpr int kVectorWidth = 16 / sizeof(T);

/// Whether runs of `count` values, at multiples of the given strides from `base`, can be read in
/// 16-byte vectors.
template <typename T, typename... Strides>
bool vectorizable(const T* base, Strides... multiples) {
  constexpr int64_t width = kVectorWidth<T>;
  return reinterpret_cast<uintptr_t>(base) % 16 == 0 && ((multiples % width == 0) && ...);
}

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace dcnbuild::cuda
