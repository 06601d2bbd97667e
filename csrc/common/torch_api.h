// The only interface to torch: tensors, checks, memory, matrix products, threads, the CUDA stream
// and registration. Only this file chooses between the two flavours:
//
//   torch_stable.h  the LibTorch stable ABI; a build works with every torch from its target (2.10)
//   torch_aten.h    ATen, for torch 2.0 to 2.9; a build works with the release it was built for
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <tuple>
#include <type_traits>
#include <vector>

namespace dcnbuild {
using IntList = std::vector<int64_t>;
}  // namespace dcnbuild

#ifdef TORCH_TARGET_VERSION
#include "common/torch_stable.h"
#else
#include "common/torch_aten.h"
#endif

namespace dcnbuild {

inline Tensor cast(const Tensor& tensor, ScalarType dtype) {
  return tensor.scalar_type() == dtype ? tensor : converted(tensor, dtype);
}

/// A matrix in memory that it does not own.
template <typename T>
struct Matrix {
  T* data;
  int64_t rows, columns, row_stride, column_stride;

  Matrix transposed() const { return {data, columns, rows, column_stride, row_stride}; }
};

/// Matrices of one shape, `distance` elements apart.
template <typename T>
struct Matrices {
  Matrix<T> first;
  int64_t count, distance;

  Matrices transposed() const { return {first.transposed(), count, distance}; }
};

template <typename T>
Tensor tensor_of(const Matrix<T>& m, const Tensor& device_of) {
  return tensor_over<T, 2>(m.data, {m.rows, m.columns}, {m.row_stride, m.column_stride}, device_of);
}

template <typename T>
Tensor tensor_of(const Matrices<T>& m, const Tensor& device_of) {
  const Matrix<T>& first = m.first;
  return tensor_over<T, 3>(first.data, {m.count, first.rows, first.columns},
                           {m.distance, first.row_stride, first.column_stride}, device_of);
}

/// out = a @ b, or out += a @ b. May be called from inside parallel_for (CPU); runs on the current
/// stream (CUDA).
template <typename T>
void matrix_product(const Matrix<T>& out, const Matrix<const T>& a, const Matrix<const T>& b,
                    bool accumulate, const Tensor& device_of) {
  addmm_into(tensor_of(out, device_of), tensor_of(a, device_of), tensor_of(b, device_of),
             accumulate);
}

/// The same for several matrices at once, in one call of torch.
template <typename T>
void matrix_products(const Matrices<T>& out, const Matrices<const T>& a, const Matrices<const T>& b,
                     bool accumulate, const Tensor& device_of) {
  if (out.count == 1) return matrix_product<T>(out.first, a.first, b.first, accumulate, device_of);
  baddbmm_into(tensor_of(out, device_of), tensor_of(a, device_of), tensor_of(b, device_of),
               accumulate);
}

/// out = a @ b, where out is float32 and the others half types (kWideProducts).
template <typename T>
void wide_products(const Matrices<float>& out, const Matrices<const T>& a,
                   const Matrices<const T>& b, const Tensor& device_of) {
  if (out.count == 1)
    mm_wide_into(tensor_of(out.first, device_of), tensor_of(a.first, device_of),
                 tensor_of(b.first, device_of));
  else
    mm_wide_into(tensor_of(out, device_of), tensor_of(a, device_of), tensor_of(b, device_of));
}

#if defined(DCNBUILD_EMULATE_CUDA) || defined(DCNBUILD_NVRTC)
#define DCNBUILD_CUDA_CHECK(call)                                                 \
  do {                                                                            \
    const cudaError_t error = call;                                               \
    DCNBUILD_CHECK(error == cudaSuccess, #call, ": ", cudaGetErrorString(error)); \
  } while (0)
#endif

#if defined(DCNBUILD_TEST_NAMESPACE)
/// tests/emulator runs the CUDA half on CPU tensors, under a name of its own. For the route `nvrtc`
/// there is a driver to enter all the same, and a stream to hand on.
struct DeviceScope {
  explicit DeviceScope(const Tensor&) {
#ifdef DCNBUILD_NVRTC
    DCNBUILD_CHECK(nvrtc::enter(0), nvrtc::last_error());
#endif
  }
  void* stream() const { return reinterpret_cast<void*>(0x5eed); }
};

/// Begins as NaN in every dtype, so that a kernel that reads what nobody wrote is noticed.
class Memory {
 public:
  Memory(int64_t bytes, const Tensor& like) : bytes_(empty({bytes}, ScalarType::Byte, like)) {
    if (bytes > 0) std::memset(data(), 0xff, static_cast<size_t>(bytes));
  }
  void* data() const { return bytes_.data_ptr(); }

 private:
  Tensor bytes_;
};

#define DCNBUILD_CUDA_LIBRARY_IMPL(m) DCNBUILD_LIBRARY_IMPL(DCNBUILD_TEST_NAMESPACE, CPU, m)
#elif defined(USE_CUDA) || defined(DCNBUILD_NVRTC)
#define DCNBUILD_CUDA_LIBRARY_IMPL(m) DCNBUILD_LIBRARY_IMPL(dcnbuild, CUDA, m)
#endif

}  // namespace dcnbuild
