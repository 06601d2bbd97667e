// The route `nvrtc`, seen from a launch: this half of the CUDA sources is plain C++, compiled
// without any header or library of CUDA. Kernels are named here, not compiled: their bodies are
// templates that nothing instantiates. The name of one goes to torch's NVRTC when it is first
// launched (dcnbuild/builder/kernels.py), and the driver starts what comes back (driver.h).
//
// Example: DCNBUILD_GLOBAL(gather_columns_kernel, float, float, 4) is the kernel
// "dcnbuild::cuda::gather_columns_kernel<float, float, 4>", which takes Chunk<float, float>, ...
#pragma once

#include <cxxabi.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include "common/nvrtc/driver.h"

// CUDA's words, as far as the text of kernels has them outside of what depends on a template.
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__

extern const struct DcnbuildIndex {
  unsigned x, y, z;
} threadIdx, blockIdx;
void __syncthreads();
void __syncwarp();

/// As large as CUDA's own; the host only hands on pointers to them.
struct __half {
  uint16_t bits;
};
struct __nv_bfloat16 {
  uint16_t bits;
};

using cudaStream_t = void*;
enum cudaError_t { cudaSuccess, cudaErrorInvalidConfiguration, cudaErrorLaunchFailure };

inline const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorInvalidConfiguration ? "more blocks than a grid can have"
                                                : dcnbuild::nvrtc::last_error().c_str();
}

namespace dcnbuild::nvrtc {

/// A type or a number as a template argument is written.
template <typename T>
std::string word() {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(typeid(T).name(), nullptr, nullptr, &status), &std::free);
  return text ? text.get() : typeid(T).name();
}
template <int number>
std::string word() {
  return std::to_string(number);
}

}  // namespace dcnbuild::nvrtc

namespace dcnbuild::cuda {

/// A kernel that takes these parameters.
template <typename... Parameters>
struct Kernel {
  nvrtc::Entry* entry;
};

namespace nvrtc_detail {
template <typename Function>
struct KernelOf;
template <typename... Parameters>
struct KernelOf<void(Parameters...)> {
  using type = Kernel<Parameters...>;
};
}  // namespace nvrtc_detail

// Up to three template arguments. The entry is looked up once for each kernel and place.
#define DCNBUILD_WORDS_1(a) ::dcnbuild::nvrtc::word<a>()
#define DCNBUILD_WORDS_2(a, b) DCNBUILD_WORDS_1(a) + ", " + DCNBUILD_WORDS_1(b)
#define DCNBUILD_WORDS_3(a, b, c) DCNBUILD_WORDS_2(a, b) + ", " + DCNBUILD_WORDS_1(c)
#define DCNBUILD_WORDS_OF(_1, _2, _3, words, ...) words
#define DCNBUILD_WORDS(...)                                                            \
  DCNBUILD_WORDS_OF(__VA_ARGS__, DCNBUILD_WORDS_3, DCNBUILD_WORDS_2, DCNBUILD_WORDS_1) \
  (__VA_ARGS__)
#define DCNBUILD_GLOBAL(name, ...)                                                             \
  (typename ::dcnbuild::cuda::nvrtc_detail::KernelOf<decltype(name<__VA_ARGS__>)>::type{[]() { \
    static ::dcnbuild::nvrtc::Entry* const entry = ::dcnbuild::nvrtc::entry_of(                \
        "dcnbuild::cuda::" #name "<" + DCNBUILD_WORDS(__VA_ARGS__) + ">");                     \
    return entry;                                                                              \
  }()})

template <typename... Parameters, typename... Args>
cudaError_t start(Kernel<Parameters...> kernel, unsigned blocks, unsigned threads,
                  cudaStream_t stream, Args&&... args) {
  static_assert(sizeof...(Parameters) == sizeof...(Args));
  std::tuple<Parameters...> values(std::forward<Args>(args)...);
  return std::apply(
      [&](auto&... value) {
        void* pointers[] = {&value...};
        const size_t sizes[] = {sizeof(value)...};
        return nvrtc::launch(*kernel.entry, blocks, threads, stream, pointers, sizes,
                             sizeof...(value))
                   ? cudaSuccess
                   : cudaErrorLaunchFailure;
      },
      values);
}

}  // namespace dcnbuild::cuda
