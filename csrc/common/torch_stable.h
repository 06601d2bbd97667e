// torch_api.h over the LibTorch stable ABI. TORCH_TARGET_VERSION is the oldest torch that a build
// works with.
#pragma once

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/inductor/aoti_torch/generated/c_shim_cpu.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>
#ifdef USE_CUDA
#include <torch/csrc/inductor/aoti_torch/generated/c_shim_cuda.h>
#include <torch/csrc/stable/macros.h>
#endif
#if defined(USE_CUDA) || defined(DCNBUILD_NVRTC)
#include <torch/csrc/stable/accelerator.h>
#endif

#include <array>
#include <optional>
#include <tuple>
#include <type_traits>

#define DCNBUILD_CHECK(...) STD_TORCH_CHECK(__VA_ARGS__)
#define DCNBUILD_LIBRARY(ns, m) STABLE_TORCH_LIBRARY_FRAGMENT(ns, m)
#define DCNBUILD_LIBRARY_IMPL(ns, key, m) STABLE_TORCH_LIBRARY_IMPL(ns, key, m)
#define DCNBUILD_KERNEL(function) TORCH_BOX(&function)

namespace dcnbuild {

using torch::headeronly::BFloat16;
using torch::headeronly::Half;
using torch::headeronly::ScalarType;
using torch::stable::Tensor;

template <typename T>
constexpr ScalarType dtype_of = torch::headeronly::CppTypeToScalarType<T>::value;

inline bool same_device(const Tensor& a, const Tensor& b) {
  return a.is_cuda() == b.is_cuda() && a.get_device_index() == b.get_device_index();
}

/// An uninitialised contiguous tensor on the device of `like`.
inline Tensor empty(const IntList& sizes, ScalarType dtype, const Tensor& like) {
  return torch::stable::new_empty(like, sizes, dtype);
}

inline Tensor zeros(const IntList& sizes, ScalarType dtype, const Tensor& like) {
  return torch::stable::new_zeros(like, sizes, dtype);
}

// Calls the dispatcher, since headers before 2.14 have no torch::stable::permute.
inline Tensor permuted(const Tensor& tensor, const IntList& dims) {
  std::array<StableIValue, 2> stack{torch::stable::detail::from(tensor),
                                    torch::stable::detail::from(dims)};
  TORCH_ERROR_CODE_CHECK(
      torch_call_dispatcher("aten::permute", "", stack.data(), TORCH_ABI_VERSION));
  return torch::stable::detail::to<Tensor>(stack[0]);
}

inline Tensor as_contiguous(const Tensor& tensor) { return torch::stable::contiguous(tensor); }

inline Tensor converted(const Tensor& tensor, ScalarType dtype) {
  return torch::stable::to(tensor, dtype);
}

/// The sum over `dims`, without these dimensions.
inline Tensor sum_over(const Tensor& tensor, const IntList& dims, ScalarType dtype) {
  return torch::stable::sum(tensor, dims, false, dtype);
}

inline Tensor selected(const Tensor& tensor, int64_t dim, int64_t index) {
  return torch::stable::select(tensor, dim, index);
}

inline Tensor viewed(const Tensor& tensor, const IntList& sizes) {
  return torch::stable::view(tensor, sizes);
}

inline void fill_zero(Tensor tensor) { torch::stable::zero_(tensor); }

/// to[...] = from, broadcast and cast like torch's copy_.
inline void copy_into(Tensor to, const Tensor& from) { torch::stable::copy_(to, from); }

/// The values of a one-dimensional tensor in ascending order, with their old indices. Equal values
/// keep their order.
inline std::tuple<Tensor, Tensor> stable_sort(const Tensor& values) {
  using torch::stable::detail::from;
  using torch::stable::detail::to;
  std::array<StableIValue, 4> stack{from(values), from(std::optional<bool>(true)),
                                    from(int64_t(-1)), from(false)};
  TORCH_ERROR_CODE_CHECK(
      torch_call_dispatcher("aten::sort", "stable", stack.data(), TORCH_ABI_VERSION));
  return {to<Tensor>(stack[0]), to<Tensor>(stack[1])};
}

/// A tensor over memory that it does not own, on the device of another tensor.
template <typename T, size_t dimensions>
Tensor tensor_over(T* data, const int64_t (&sizes)[dimensions],
                   const int64_t (&strides)[dimensions], const Tensor& device_of) {
  AtenTensorHandle handle = nullptr;
  TORCH_ERROR_CODE_CHECK(aoti_torch_create_tensor_from_blob(
      const_cast<std::remove_const_t<T>*>(data), dimensions, sizes, strides, 0,
      torch::stable::detail::to<int32_t>(
          torch::stable::detail::from(dtype_of<std::remove_const_t<T>>)),
      device_of.is_cuda() ? aoti_torch_device_type_cuda() : aoti_torch_device_type_cpu(),
      device_of.get_device_index(), &handle));
  return Tensor(handle);
}

}  // namespace dcnbuild

#ifdef DCNBUILD_NVRTC
#include "common/nvrtc/torch_cuda.h"
#endif

namespace dcnbuild {

/// The shim of this name for the device of a tensor.
#if defined(DCNBUILD_NVRTC)
// in torch_cuda.h
#elif defined(USE_CUDA)
#define DCNBUILD_SHIM(name, tensor) \
  ((tensor).is_cuda() ? aoti_torch_cuda_##name : aoti_torch_cpu_##name)
#else
#define DCNBUILD_SHIM(name, tensor) aoti_torch_cpu_##name
#endif

/// out = a @ b, or out += a @ b, for matrices.
inline void addmm_into(const Tensor& out, const Tensor& a, const Tensor& b, bool accumulate) {
  TORCH_ERROR_CODE_CHECK(DCNBUILD_SHIM(addmm_out, out)(out.get(), out.get(), a.get(), b.get(),
                                                       accumulate ? 1.0 : 0.0, 1.0));
}

/// The same for batches of matrices.
inline void baddbmm_into(const Tensor& out, const Tensor& a, const Tensor& b, bool accumulate) {
  TORCH_ERROR_CODE_CHECK(DCNBUILD_SHIM(baddbmm_out, out)(out.get(), out.get(), a.get(), b.get(),
                                                         accumulate ? 1.0 : 0.0, 1.0));
}

/// Whether a product of half types can be written as float32.
constexpr bool kWideProducts = true;

/// out = a @ b for matrices of half types, or batches of them, in float32. torch has it for CUDA.
inline void mm_wide_into(const Tensor& out, const Tensor& a, const Tensor& b) {
  using torch::stable::detail::from;
  const char* const operation = out.dim() == 2 ? "aten::mm" : "aten::bmm";
  std::array<StableIValue, 4> stack{from(a), from(b), from(ScalarType::Float), from(out)};
  TORCH_ERROR_CODE_CHECK(
      torch_call_dispatcher(operation, "dtype_out", stack.data(), TORCH_ABI_VERSION));
  torch::stable::detail::to<Tensor>(stack[0]);  // out once more, which is ours to free
}

/// Calls body(begin, end) on torch's CPU threads, in static parts of at least `grain` items.
template <typename F>
void parallel_for(int64_t items, int64_t grain, const F& body) {
  if (items > 0) torch::stable::parallel_for(0, items, grain, body);
}

inline int64_t thread_count() { return torch::stable::get_num_threads(); }

#if defined(USE_CUDA) && !defined(DCNBUILD_EMULATE_CUDA)
/// Makes the tensor's GPU the current one for a scope, and gives torch's current stream on it.
class DeviceScope {
 public:
  explicit DeviceScope(const Tensor& tensor) : guard_(tensor.get_device_index()) {
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(tensor.get_device_index(), &stream_));
  }
  void* stream() const { return stream_; }

 private:
  torch::stable::accelerator::DeviceGuard guard_;
  void* stream_ = nullptr;
};

/// Memory of the current GPU, from torch's allocator and for the current stream.
class Memory {
 public:
  Memory(int64_t bytes, const Tensor&) {
    TORCH_ERROR_CODE_CHECK(
        aoti_torch_cuda_caching_allocator_raw_alloc(static_cast<uint64_t>(bytes), &data_));
  }
  ~Memory() {
    if (data_) aoti_torch_cuda_caching_allocator_raw_delete(data_);
  }
  Memory(const Memory&) = delete;
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

#define DCNBUILD_CUDA_CHECK(...) STD_CUDA_CHECK(__VA_ARGS__)
#endif

}  // namespace dcnbuild
