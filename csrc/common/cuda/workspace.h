// Host code that all CUDA operators share: dtypes, and the memory that a call may take.
#pragma once

#include <cstdlib>

#include "common/cuda/launch.cuh"
#include "common/torch_api.h"

namespace dcnbuild {
template <>
constexpr ScalarType dtype_of<__half> = ScalarType::Half;
template <>
constexpr ScalarType dtype_of<__nv_bfloat16> = ScalarType::BFloat16;
}  // namespace dcnbuild

namespace dcnbuild::cuda {

/// A call's own memory, of which every element is written before it is read. torch fills a tensor's
/// memory in deterministic mode, which would cost as much as a kernel that writes it.
template <typename T>
class Scratch {
 public:
  Scratch(int64_t count, const Tensor& like)
      : count_(count), memory_(count * int64_t(sizeof(T)), like) {}

  T* data() const { return static_cast<T*>(memory_.data()); }
  int64_t count() const { return count_; }

  /// All of it as one dimension.
  Tensor tensor(const Tensor& like) const { return tensor_over<T, 1>(data(), {count_}, {1}, like); }

 private:
  int64_t count_;
  Memory memory_;
};

/// The multiprocessors of the current GPU; 0 if it does not say, and in the emulator.
inline int64_t multiprocessors() {
#if defined(DCNBUILD_TEST_NAMESPACE)
  return 0;
#elif defined(DCNBUILD_NVRTC)
  return nvrtc::processors();
#else
  int device = 0, count = 0;
  const bool known =
      cudaGetDevice(&device) == cudaSuccess &&
      cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device) == cudaSuccess;
  return known ? count : 0;
#endif
}

/// Bytes of a chunk's columns or sorted corners: `standard`, or DCNBUILD_COLUMN_BYTES.
inline int64_t column_bytes(int64_t standard = kColumnBytes) {
  const char* text = std::getenv("DCNBUILD_COLUMN_BYTES");
  if (text == nullptr) return standard;
  char* end = nullptr;
  const long long bytes = std::strtoll(text, &end, 10);
  DCNBUILD_CHECK(end != text && *end == '\0' && bytes > 0 && bytes <= int64_t(1) << 32,
                 "DCNBUILD_COLUMN_BYTES is \"", text,
                 "\", expected the bytes of a chunk's columns, from 1 to 4294967296");
  return bytes;
}

}  // namespace dcnbuild::cuda
