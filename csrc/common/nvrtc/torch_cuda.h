// torch's CUDA half without linking it: functions of libtorch_cuda.so, which a torch with CUDA has
// loaded, by their names in the stable ABI. Included by torch_stable.h.
#pragma once

#include <dlfcn.h>

#include "common/nvrtc/driver.h"

namespace dcnbuild {

template <typename Function>
Function function_of_torch_cuda(const char* name) {
  static void* const library = dlopen("libtorch_cuda.so", RTLD_LAZY | RTLD_NOLOAD);
  DCNBUILD_CHECK(library != nullptr, "this torch has loaded no libtorch_cuda.so");
  void* const function = dlsym(library, name);
  DCNBUILD_CHECK(function != nullptr, "torch's libtorch_cuda.so has no ", name);
  return reinterpret_cast<Function>(function);
}

/// The shim of this name for the device of a tensor; both have one signature.
#define DCNBUILD_SHIM(name, tensor)                                           \
  ((tensor).is_cuda() ? []() {                                                \
    static const auto function =                                              \
        ::dcnbuild::function_of_torch_cuda<decltype(&aoti_torch_cpu_##name)>( \
            "aoti_torch_cuda_" #name);                                        \
    return function;                                                          \
  }()                                                                         \
                      : &aoti_torch_cpu_##name)

#if !defined(DCNBUILD_TEST_NAMESPACE)
/// Makes the tensor's GPU the current one for a scope, in torch and for the driver, and names
/// torch's current stream on it.
class DeviceScope {
 public:
  explicit DeviceScope(const Tensor& tensor) : guard_(tensor.get_device_index()) {
    DCNBUILD_CHECK(nvrtc::enter(tensor.get_device_index()), nvrtc::last_error());
    using CurrentStream = AOTITorchError (*)(int32_t, void**);
    static const auto current =
        function_of_torch_cuda<CurrentStream>("aoti_torch_get_current_cuda_stream");
    TORCH_ERROR_CODE_CHECK(current(tensor.get_device_index(), &stream_));
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
    using Take = AOTITorchError (*)(uint64_t, void**);
    static const auto take =
        function_of_torch_cuda<Take>("aoti_torch_cuda_caching_allocator_raw_alloc");
    TORCH_ERROR_CODE_CHECK(take(static_cast<uint64_t>(bytes), &data_));
  }
  ~Memory() {
    using GiveBack = AOTITorchError (*)(void*);
    static const auto give_back =
        function_of_torch_cuda<GiveBack>("aoti_torch_cuda_caching_allocator_raw_delete");
    if (data_) give_back(data_);
  }
  Memory(const Memory&) = delete;
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};
#endif

}  // namespace dcnbuild
