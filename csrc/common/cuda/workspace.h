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

/// Bytes of a chunk's columns or sorted corners: kColumnBytes, or DCNBUILD_COLUMN_BYTES.
inline int64_t column_bytes() {
  const char* text = std::getenv("DCNBUILD_COLUMN_BYTES");
  if (text == nullptr) return kColumnBytes;
  char* end = nullptr;
  const long long bytes = std::strtoll(text, &end, 10);
  DCNBUILD_CHECK(end != text && *end == '\0' && bytes > 0 && bytes <= int64_t(1) << 32,
                 "DCNBUILD_COLUMN_BYTES is \"", text,
                 "\", expected the bytes of a chunk's columns, from 1 to 4294967296");
  return bytes;
}

}  // namespace dcnbuild::cuda
