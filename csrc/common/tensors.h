// Shared by the host side of every operator: checks that name the operator, images and their views,
// and the choice of template by dtype. Users normally see Python's messages
// (dcnbuild/ops/arguments.py); these checks guard direct calls of the operators.
#pragma once

#include "common/sampling.h"
#include "common/torch_api.h"
#include "common/views.h"

namespace dcnbuild {

inline void check_sizes(const char* function, const char* name, const Tensor& tensor,
                        std::initializer_list<int64_t> expected) {
  DCNBUILD_CHECK(tensor.dim() == static_cast<int64_t>(expected.size()), function, ": ", name,
                 " has ", tensor.dim(), " dimensions, expected ", expected.size());
  int64_t dim = 0;
  for (const int64_t size : expected) {
    DCNBUILD_CHECK(tensor.size(dim) == size, function, ": ", name, " has size ", tensor.size(dim),
                   " in dimension ", dim, ", expected ", size);
    ++dim;
  }
}

inline bool is_half(ScalarType dtype) {
  return dtype == ScalarType::Half || dtype == ScalarType::BFloat16;
}

/// Checks that value is in [least, kSideLimit), so that two such numbers can be multiplied.
inline void check_range(const char* function, const char* what, int64_t value, int64_t least) {
  DCNBUILD_CHECK(value >= least && value < kSideLimit, function, ": ", what, " is ", value,
                 ", expected ", least, " to 2^30 - 1");
}

/// The product of numbers >= 0. Raises if the product overflows or is not below `limit`, which may
/// be up to 2^62.
inline int64_t checked_product(const char* function, const char* what, int64_t limit,
                               std::initializer_list<int64_t> factors) {
  int64_t product = 1;
  for (const int64_t factor : factors)
    DCNBUILD_CHECK(!__builtin_mul_overflow(product, factor, &product) && product < limit, function,
                   ": ", what, " are too many, expected fewer than ", limit);
  return product;
}

/// The limit of a tensor's elements, real or expanded; leaves room for their bytes and for padding.
constexpr int64_t kElementLimit = int64_t(1) << 55;

inline void check_dtype(const char* function, const Tensor& input, const char* name = "input") {
  const ScalarType dtype = input.scalar_type();
  DCNBUILD_CHECK(dtype == ScalarType::Double || dtype == ScalarType::Float || is_half(dtype),
                 function, ": ", name, " must be float64, float32, float16 or bfloat16");
}

/// Whether torch would call the tensor channels_last rather than contiguous.
inline bool is_channels_last(const Tensor& t) {
  const int64_t c = t.size(1), h = t.size(2), w = t.size(3);
  if (c == 1 || (h == 1 && w == 1)) return false;
  return t.stride(1) == 1 && t.stride(3) == c && t.stride(2) == w * c &&
         (t.size(0) <= 1 || t.stride(0) == h * w * c);
}

/// An uninitialised [n, c, h, w] tensor, channels_last on request.
inline Tensor empty_image(int64_t n, int64_t c, int64_t h, int64_t w, bool channels_last,
                          ScalarType dtype, const Tensor& like) {
  if (!channels_last) return empty({n, c, h, w}, dtype, like);
  return permuted(empty({n, h, w, c}, dtype, like), {0, 3, 1, 2});
}

template <typename T>
View4<T> view4(const Tensor& t) {
  return {static_cast<T*>(t.data_ptr()), t.stride(0), t.stride(1), t.stride(2), t.stride(3)};
}

template <typename T>
View4<T> view4(const std::optional<Tensor>& t) {
  return t ? view4<T>(*t) : View4<T>{nullptr, 0, 0, 0, 0};
}

template <typename T>
struct Type {
  using type = T;
};

/// Calls body(Type<scalar>, Type<offset>) for the pair of dtypes; `half_t` and `bfloat16_t` are the
/// device's own types. Raises for an unsupported dtype.
template <typename half_t, typename bfloat16_t, typename F>
void dispatch(const char* function, const Tensor& input, const Tensor& offset, const F& body) {
  check_dtype(function, input);
  const bool float_offset = offset.scalar_type() == ScalarType::Float;
  switch (input.scalar_type()) {
    case ScalarType::Double:
      return body(Type<double>{}, Type<double>{});
    case ScalarType::Float:
      return body(Type<float>{}, Type<float>{});
    case ScalarType::Half:
      return float_offset ? body(Type<half_t>{}, Type<float>{})
                          : body(Type<half_t>{}, Type<half_t>{});
    default:
      return float_offset ? body(Type<bfloat16_t>{}, Type<float>{})
                          : body(Type<bfloat16_t>{}, Type<bfloat16_t>{});
  }
}

}  // namespace dcnbuild
