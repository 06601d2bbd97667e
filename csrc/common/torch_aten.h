// torch_api.h over ATen, for torch 2.0 to 2.9, which have no stable ABI. It includes few headers:
// torch/extension.h would take ten times as long to compile.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/TensorIterator.h>
#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/baddbmm.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Optional.h>
#include <torch/csrc/api/include/torch/version.h>
#include <torch/library.h>
#if defined(USE_CUDA) && !defined(DCNBUILD_EMULATE_CUDA)
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>
#endif

#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#define DCNBUILD_CHECK(...) TORCH_CHECK(__VA_ARGS__)
#define DCNBUILD_LIBRARY(ns, m) TORCH_LIBRARY_FRAGMENT(ns, m)
#define DCNBUILD_LIBRARY_IMPL(ns, key, m) TORCH_LIBRARY_IMPL(ns, key, m)
#define DCNBUILD_KERNEL(function) &::dcnbuild::Kernel<&function>::call

namespace dcnbuild {

using at::BFloat16;
using at::Half;
using at::ScalarType;
using at::Tensor;

/// The type that the dispatcher passes for a kernel's argument. It differs from the argument for
/// lists of bool, and for std::optional: before torch 2.4, c10::optional is a class of its own.
template <typename T>
struct Argument {
  using type = T;
  static T received(T& value) { return std::move(value); }
};

template <>
struct Argument<std::optional<Tensor>> {
  using type = c10::optional<Tensor>;
  static std::optional<Tensor> received(type& value) {
    return value.has_value() ? std::optional<Tensor>(std::move(*value)) : std::nullopt;
  }
};

template <>
struct Argument<std::vector<bool>> {
  using type = c10::List<bool>;
  static std::vector<bool> received(type& value) { return value.vec(); }
};

/// A kernel in the form that the dispatcher accepts.
template <auto function>
struct Kernel;

template <typename Result, typename... Args, Result (*function)(Args...)>
struct Kernel<function> {
  static Result call(typename Argument<Args>::type... args) {
    return function(Argument<Args>::received(args)...);
  }
};

template <typename T>
constexpr ScalarType dtype_of = c10::CppTypeToScalarType<T>::value;

inline bool same_device(const Tensor& a, const Tensor& b) { return a.device() == b.device(); }

/// An uninitialised contiguous tensor on the device of `like`.
inline Tensor empty(const IntList& sizes, ScalarType dtype, const Tensor& like) {
  return at::empty(sizes, like.options().dtype(dtype));
}

inline Tensor zeros(const IntList& sizes, ScalarType dtype, const Tensor& like) {
  return at::zeros(sizes, like.options().dtype(dtype));
}

inline Tensor permuted(const Tensor& tensor, const IntList& dims) { return tensor.permute(dims); }

inline Tensor as_contiguous(const Tensor& tensor) { return tensor.contiguous(); }

inline Tensor converted(const Tensor& tensor, ScalarType dtype) { return tensor.to(dtype); }

/// The sum over `dims`, without these dimensions.
inline Tensor sum_over(const Tensor& tensor, const IntList& dims, ScalarType dtype) {
  return tensor.sum(at::IntArrayRef(dims), false, dtype);
}

inline Tensor selected(const Tensor& tensor, int64_t dim, int64_t index) {
  return tensor.select(dim, index);
}

inline Tensor viewed(const Tensor& tensor, const IntList& sizes) { return tensor.view(sizes); }

inline void fill_zero(const Tensor& tensor) { tensor.zero_(); }

/// to[...] = from, broadcast and cast like torch's copy_.
inline void copy_into(const Tensor& to, const Tensor& from) { to.copy_(from); }

/// The values of a one-dimensional tensor in ascending order, with their old indices. Equal values
/// keep their order.
inline std::tuple<Tensor, Tensor> stable_sort(const Tensor& values) {
  return values.sort(/*stable=*/true, /*dim=*/-1, /*descending=*/false);
}

/// A tensor over memory that it does not own, on the device of another tensor.
template <typename T, size_t dimensions>
Tensor tensor_over(T* data, const int64_t (&sizes)[dimensions],
                   const int64_t (&strides)[dimensions], const Tensor& device_of) {
  using value_t = std::remove_const_t<T>;
  return at::for_blob(const_cast<value_t*>(data), at::IntArrayRef(sizes))
      .strides(at::IntArrayRef(strides))
      .options(device_of.options().dtype(dtype_of<value_t>))
      .target_device(device_of.device())  // without it, torch asks the driver for the device
      .make_tensor();
}

/// out = a @ b, or out += a @ b, for matrices.
inline void addmm_into(Tensor out, const Tensor& a, const Tensor& b, bool accumulate) {
  at::addmm_out(out, out, a, b, accumulate ? 1.0 : 0.0, 1.0);
}

/// The same for batches of matrices.
inline void baddbmm_into(Tensor out, const Tensor& a, const Tensor& b, bool accumulate) {
  at::baddbmm_out(out, out, a, b, accumulate ? 1.0 : 0.0, 1.0);
}

/// Whether a product of half types can be written as float32.
#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 8
constexpr bool kWideProducts = true;
#else
constexpr bool kWideProducts = false;
#endif

/// out = a @ b for matrices of half types, or batches of them, in float32. torch has it for CUDA.
inline void mm_wide_into(Tensor out, const Tensor& a, const Tensor& b) {
#if TORCH_VERSION_MAJOR > 2 || TORCH_VERSION_MINOR >= 8
  if (out.dim() == 2)
    at::mm_out(out, a, b, ScalarType::Float);
  else
    at::bmm_out(out, a, b, ScalarType::Float);
#else
  DCNBUILD_CHECK(false, "only torch 2.8 and newer write products of half types as float32");
#endif
}

inline int64_t thread_count() { return at::get_num_threads(); }

/// Calls body(begin, end) on torch's CPU threads, in static parts of at least `grain` items.
///
/// at::parallel_for is a template over OpenMP pragmas. Compiled into this library, it would run
/// serially, or on a second OpenMP runtime with its own threads. TensorIterator::for_each calls it
/// inside libtorch. It iterates over a tensor with one byte for each item; the byte's address is
/// the item's number, and the byte itself is never read or written.
template <typename F>
void parallel_for(int64_t items, int64_t grain, const F& body) {
  if (items <= 0) return;
  const Tensor bytes = at::empty({items}, at::TensorOptions(ScalarType::Byte));
  const char* first = static_cast<const char*>(bytes.data_ptr());
  at::TensorIterator iterator = at::TensorIteratorConfig().add_input(bytes).build();
  iterator.for_each([&](char** data, const int64_t*, int64_t count,
                        int64_t) { body(data[0] - first, data[0] - first + count); },
                    grain);
}

#if defined(USE_CUDA) && !defined(DCNBUILD_EMULATE_CUDA)
/// Makes the tensor's GPU the current one for a scope, and gives torch's current stream on it.
class DeviceScope {
 public:
  explicit DeviceScope(const Tensor& tensor)
      : guard_(tensor.device()),
        stream_(c10::cuda::getCurrentCUDAStream(tensor.device().index()).stream()) {}
  void* stream() const { return stream_; }

 private:
  c10::DeviceGuard guard_;  // CUDAGuard would switch the device of this library's CUDA runtime
  void* stream_;
};

/// Memory of the current GPU, from torch's allocator and for the current stream.
class Memory {
 public:
  Memory(int64_t bytes, const Tensor&)
      : data_(c10::cuda::CUDACachingAllocator::get()->allocate(static_cast<size_t>(bytes))) {}
  void* data() const { return data_.get(); }

 private:
  c10::DataPtr data_;
};

#define DCNBUILD_CUDA_CHECK(...) C10_CUDA_CHECK(__VA_ARGS__)
#endif

}  // namespace dcnbuild
