// Tensors of any dtype, by their strides, with copies to and from the type that kernels compute in.
#pragma once

#include <algorithm>
#include <memory>
#include <new>

#include "common/cpu/kernel_table.h"
#include "common/tensors.h"

namespace dcnbuild::cpu {

template <typename T>
const Kernels<T>& kernels() {
  if constexpr (std::is_same_v<T, double>) {
    return selected_table().double_kernels;
  } else {
    return selected_table().float_kernels;
  }
}

/// The kernel for this dtype in memory.
template <typename Argument>
auto kernel_for(const OfStored<Argument>& kernels, ScalarType dtype) {
  if (dtype == ScalarType::Half) return kernels.half;
  return dtype == ScalarType::BFloat16 ? kernels.bfloat16 : kernels.same;
}

/// A tensor [n][c][h][w]; strides in elements.
template <typename T>
struct Strided {
  char* data = nullptr;
  int64_t size = 0;  // bytes of an element
  int64_t n = 0, c = 0, h = 0, w = 0;
  Copy load = nullptr, store = nullptr;  // to and from T

  Strided() = default;
  /// For a tensor whose elements have the size of T, and are copied as they are.
  Strided(const Tensor& t, Copy copy)
      : data(static_cast<char*>(t.data_ptr())),
        size(sizeof(T)),
        n(t.stride(0)),
        c(t.stride(1)),
        h(t.stride(2)),
        w(t.stride(3)),
        load(copy),
        store(copy) {}
  explicit Strided(const Tensor& t) : Strided(t, nullptr) {
    const Kernels<T>& k = kernels<T>();
    switch (t.scalar_type()) {
      case ScalarType::Half:
        size = 2, load = k.from_half, store = k.to_half;
        break;
      case ScalarType::BFloat16:
        size = 2, load = k.from_bfloat16, store = k.to_bfloat16;
        break;
      default:
        size = sizeof(T), load = store = k.copy;
    }
  }
  explicit Strided(const std::optional<Tensor>& t) {
    if (t) *this = Strided(*t);
  }

  explicit operator bool() const { return data != nullptr; }
  char* at(int64_t in, int64_t ic, int64_t ih, int64_t iw) const {
    return data + (in * n + ic * c + ih * h + iw * w) * size;
  }
};

/// Uninitialised memory of one worker or one call, aligned to cache lines.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t size)
      : data_(static_cast<T*>(::operator new(static_cast<size_t>(size) * sizeof(T) + kLine,
                                             std::align_val_t(kLine)))) {}
  Buffer(int64_t size, T value) : Buffer(size) { std::fill_n(data_.get(), size, value); }
  T* data() const { return data_.get(); }
  T& operator[](int64_t i) const { return data_.get()[i]; }

 private:
  static constexpr size_t kLine = 64;
  struct Free {
    void operator()(T* data) const { ::operator delete(data, std::align_val_t(kLine)); }
  };
  std::unique_ptr<T, Free> data_;
};

constexpr int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

}  // namespace dcnbuild::cpu
