// A libcuda.so.1 that stands in for NVIDIA's: it takes the images that NVRTC has made, finds the
// kernels in them by name, and runs the same kernels in the emulator with the arguments that it is
// given. So the host half of the route `nvrtc` is executed as it is, up to what a GPU does.
#include <dlfcn.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#define DCNBUILD_GLOBAL(name, ...) (::emulator::Registered<&name<__VA_ARGS__>>::pointer)
#include "cubin.h"
#include "cuda_emulator.h"

namespace emulator {

/// A kernel that can be run with arguments of these sizes.
struct Registration {
  std::vector<size_t> sizes;
  std::function<cudaError_t(unsigned, unsigned, void**)> run;
};

/// Every kernel that the launchers below name, by its name for the linker.
inline std::map<std::string, Registration>& registered() {
  static std::map<std::string, Registration> instance;
  return instance;
}

template <typename... P, size_t... i>
cudaError_t run_with(void (*kernel)(P...), unsigned blocks, unsigned threads, void** arguments,
                     std::index_sequence<i...>) {
  return launch(blocks, threads, nullptr, kernel,
                *static_cast<const std::decay_t<P>*>(arguments[i])...);
}

template <auto kernel>
struct Registered;
template <typename... P, void (*kernel)(P...)>
struct Registered<kernel> {
  static auto add() {
    Dl_info found{};
    if (dladdr(reinterpret_cast<void*>(kernel), &found) == 0 || found.dli_sname == nullptr)
      std::abort();
    registered()[found.dli_sname] = {
        {sizeof(P)...}, [](unsigned blocks, unsigned threads, void** arguments) {
          return run_with(kernel, blocks, threads, arguments, std::index_sequence_for<P...>());
        }};
    return kernel;
  }
  static inline void (*const pointer)(P...) = add();
};

}  // namespace emulator

#include "nvcc/kernels.cu"  // every kernel in every dtype

namespace {

// Of cuda.h.
constexpr int kInvalidValue = 1, kOutOfMemory = 2, kNoDevice = 100, kInvalidDevice = 101,
              kInvalidImage = 200, kInvalidContext = 201, kNoBinaryForGpu = 209, kNotFound = 500,
              kLaunchFailed = 719, kCaptureUnsupported = 900;
constexpr int kCaptureRelaxed = 2;
const std::map<int, std::pair<const char*, const char*>> kErrors = {
    {kInvalidValue, {"CUDA_ERROR_INVALID_VALUE", "invalid argument"}},
    {kOutOfMemory, {"CUDA_ERROR_OUT_OF_MEMORY", "out of memory"}},
    {kNoDevice, {"CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"}},
    {kInvalidDevice, {"CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"}},
    {kInvalidImage, {"CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"}},
    {kInvalidContext, {"CUDA_ERROR_INVALID_CONTEXT", "invalid device context"}},
    {kNoBinaryForGpu, {"CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available"}},
    {kNotFound, {"CUDA_ERROR_NOT_FOUND", "named symbol not found"}},
    {kLaunchFailed, {"CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"}},
    {kCaptureUnsupported, {"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "not while it is captured"}},
};

struct Loaded {
  std::string name;
  std::vector<size_t> sizes;
  void* context;
};
struct Module {
  stand_in::Image image;
  void* context;
};

struct State {
  int devices = 1, capability = 90;
  bool capturing = false;
  std::string failing;  // this call fails with `error`, after so many that do not
  int error = 0, before_failure = 0;
  std::string log;
  // The address of one is a primary context: that of device 0, and those of others behind it.
  char memory[64] = {};
  int first_context = 0;
  char* contexts() { return memory + first_context; }
  std::vector<std::unique_ptr<Module>> modules;
  std::vector<std::unique_ptr<Loaded>> functions;
} state;

thread_local void* current = nullptr;
thread_local int capture_mode = 0;

/// Writes a call down; its error, if it is to fail.
int called(const std::string& call, const std::string& details = "") {
  state.log += call + (details.empty() ? "" : " " + details) + "\n";
  if (state.failing != call || state.before_failure-- > 0) return 0;
  state.failing.clear();
  return state.error;
}

int device_of(const void* context) {
  return static_cast<int>(static_cast<const char*>(context) - state.contexts());
}

}  // namespace

#define STAND_IN __attribute__((visibility("default")))
#define CALLED(...)                                          \
  do {                                                       \
    if (const int error = called(__VA_ARGS__)) return error; \
  } while (0)

extern "C" {

// What tests say and ask.
STAND_IN void stand_in_configure(int devices, int capability) {
  state.devices = devices, state.capability = capability;
}
STAND_IN void stand_in_fail(const char* call, int error, int after) {
  state.failing = call, state.error = error, state.before_failure = after;
}
/// Whether a stream is captured from now on. Returns this thread's mode.
STAND_IN int stand_in_capture(bool capturing) {
  state.capturing = capturing;
  return capture_mode;
}
STAND_IN void stand_in_leave_context() { current = nullptr; }
STAND_IN void stand_in_make_current(int device) { current = state.contexts() + device; }
/// Another primary context from now on, in which nothing is loaded.
STAND_IN void stand_in_forget() {
  state.first_context = (state.first_context + 2) % 62;
  current = nullptr;
}
STAND_IN const char* stand_in_take_log() {
  static std::string taken;
  taken.clear();
  taken.swap(state.log);
  return taken.c_str();
}
/// The kernels that can be run, a line each.
STAND_IN const char* stand_in_kernels() {
  static std::string names;
  names.clear();
  for (const auto& [name, kernel] : emulator::registered()) names += name + "\n";
  return names.c_str();
}

STAND_IN int cuDriverGetVersion(int* version) {
  CALLED("cuDriverGetVersion");
  *version = 12080;
  return 0;
}
STAND_IN int cuInit(unsigned) {
  CALLED("cuInit");
  return state.devices > 0 ? 0 : kNoDevice;
}
/// NVRTC asks the driver for tables of functions, and does without them; it does not look whether
/// the driver has this one.
STAND_IN int cuGetExportTable(const void**, const void*) { return kNotFound; }
STAND_IN int cuGetErrorName(int error, const char** text) {
  const auto found = kErrors.find(error);
  *text = found == kErrors.end() ? nullptr : found->second.first;
  return *text ? 0 : kInvalidValue;
}
STAND_IN int cuGetErrorString(int error, const char** text) {
  const auto found = kErrors.find(error);
  *text = found == kErrors.end() ? nullptr : found->second.second;
  return *text ? 0 : kInvalidValue;
}
STAND_IN int cuDeviceGet(int* device, int ordinal) {
  CALLED("cuDeviceGet");
  *device = ordinal;
  return ordinal >= 0 && ordinal < state.devices ? 0 : kInvalidDevice;
}
STAND_IN int cuDeviceGetAttribute(int* value, int attribute, int) {
  CALLED("cuDeviceGetAttribute");
  if (attribute != 75 && attribute != 76) return kInvalidValue;
  *value = attribute == 75 ? state.capability / 10 : state.capability % 10;
  return 0;
}
STAND_IN int cuDevicePrimaryCtxRetain(void** context, int device) {
  CALLED("cuDevicePrimaryCtxRetain", std::to_string(device));
  *context = state.contexts() + device;
  return 0;
}
STAND_IN int cuCtxGetCurrent(void** context) {
  *context = current;
  return 0;
}
STAND_IN int cuCtxSetCurrent(void* context) {
  CALLED("cuCtxSetCurrent", std::to_string(device_of(context)));
  current = context;
  return 0;
}
STAND_IN int cuCtxGetDevice(int* device) {
  if (current == nullptr) return kInvalidContext;
  *device = device_of(current);
  return 0;
}
STAND_IN int cuThreadExchangeStreamCaptureMode(int* mode) {
  std::swap(*mode, capture_mode);
  return 0;
}
STAND_IN int cuModuleLoadData(void** module, const void* image) {
  if (current == nullptr) return kInvalidContext;
  if (state.capturing && capture_mode != kCaptureRelaxed) return kCaptureUnsupported;
  CALLED("cuModuleLoadData");
  auto loaded = std::make_unique<Module>();
  loaded->context = current;
  try {
    loaded->image = stand_in::read_image(static_cast<const char*>(image));
  } catch (const std::exception&) {
    return kInvalidImage;
  }
  const int of = loaded->image.capability, here = state.capability;
  if (loaded->image.ptx ? of > here : of / 10 != here / 10 || of > here) return kNoBinaryForGpu;
  *module = loaded.get();
  state.modules.push_back(std::move(loaded));
  return 0;
}
STAND_IN int cuModuleGetFunction(void** function, void* of, const char* name) {
  CALLED("cuModuleGetFunction", name);
  const Module& module = *static_cast<const Module*>(of);
  const auto found = module.image.kernels.find(name);
  if (found == module.image.kernels.end() || !emulator::registered().count(name)) return kNotFound;
  state.functions.push_back(std::make_unique<Loaded>(Loaded{name, found->second, module.context}));
  *function = state.functions.back().get();
  return 0;
}
STAND_IN int cuFuncGetParamInfo(void* function, size_t index, size_t* offset, size_t* size) {
  const Loaded& kernel = *static_cast<const Loaded*>(function);
  if (index >= kernel.sizes.size()) return kInvalidValue;
  *offset = 0, *size = kernel.sizes[index];
  return 0;
}
STAND_IN int cuLaunchKernel(void* function, unsigned blocks, unsigned y, unsigned z,
                            unsigned threads, unsigned thread_y, unsigned thread_z, unsigned shared,
                            void* stream, void** arguments, void** extra) {
  const Loaded& kernel = *static_cast<const Loaded*>(function);
  CALLED("cuLaunchKernel", kernel.name + " " + std::to_string(blocks) + " " +
                               std::to_string(threads) + " " +
                               std::to_string(reinterpret_cast<uintptr_t>(stream)));
  if (kernel.context != current) return kInvalidContext;
  if (y != 1 || z != 1 || thread_y != 1 || thread_z != 1 || shared != 0 || extra != nullptr)
    return kInvalidValue;
  const emulator::Registration& emulated = emulator::registered().at(kernel.name);
  // One text, two compilers: what NVRTC's kernel takes is what the emulator's takes.
  if (emulated.sizes != kernel.sizes) return kInvalidValue;
  return emulated.run(blocks, threads, arguments) == cudaSuccess ? 0 : kLaunchFailed;
}
}
