#include "common/nvrtc/driver.h"

#include <dlfcn.h>

#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace dcnbuild::nvrtc {
namespace {

// Of cuda.h, whose numbers never change.
using Result = int;
using Context = void*;
using Module = void*;
using Function = void*;
constexpr Result kSuccess = 0;
constexpr int kMultiprocessors = 16, kComputeCapabilityMajor = 75, kComputeCapabilityMinor = 76;
constexpr int kCaptureRelaxed = 2;

/// The functions of libcuda.so.1 that are called, by their names there. All are as old as CUDA
/// 10.1, but for the one that may be missing.
struct Driver {
  Result (*cuInit)(unsigned flags) = nullptr;
  Result (*cuGetErrorName)(Result error, const char** text) = nullptr;
  Result (*cuGetErrorString)(Result error, const char** text) = nullptr;
  Result (*cuDeviceGet)(int* device, int ordinal) = nullptr;
  Result (*cuDeviceGetAttribute)(int* value, int attribute, int device) = nullptr;
  Result (*cuDevicePrimaryCtxRetain)(Context* context, int device) = nullptr;
  Result (*cuCtxGetCurrent)(Context* context) = nullptr;
  Result (*cuCtxSetCurrent)(Context context) = nullptr;
  Result (*cuCtxGetDevice)(int* device) = nullptr;
  Result (*cuThreadExchangeStreamCaptureMode)(int* mode) = nullptr;
  Result (*cuModuleLoadData)(Module* module, const void* image) = nullptr;
  Result (*cuModuleGetFunction)(Function* function, Module module, const char* name) = nullptr;
  Result (*cuLaunchKernel)(Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                           unsigned shared, void* stream, void** arguments, void** extra) = nullptr;
  Result (*cuFuncGetParamInfo)(Function, size_t index, size_t* offset,
                               size_t* size) = nullptr;  // since CUDA 12.4
};

bool fail(std::string why) {
  last_error() = std::move(why);
  return false;
}

template <typename Pointer>
bool find(void* library, const char* name, Pointer& function) {
  function = reinterpret_cast<Pointer>(dlsym(library, name));
  return function != nullptr || fail(std::string("libcuda.so.1 has no ") + name);
}

bool find_all(Driver& driver) {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return fail(std::string("the NVIDIA driver cannot be loaded: ") + dlerror());
  find(library, "cuFuncGetParamInfo", driver.cuFuncGetParamInfo);
#define DCNBUILD_FIND(name) find(library, #name, driver.name)
  return DCNBUILD_FIND(cuInit) && DCNBUILD_FIND(cuGetErrorName) &&
         DCNBUILD_FIND(cuGetErrorString) && DCNBUILD_FIND(cuDeviceGet) &&
         DCNBUILD_FIND(cuDeviceGetAttribute) && DCNBUILD_FIND(cuDevicePrimaryCtxRetain) &&
         DCNBUILD_FIND(cuCtxGetCurrent) && DCNBUILD_FIND(cuCtxSetCurrent) &&
         DCNBUILD_FIND(cuCtxGetDevice) && DCNBUILD_FIND(cuThreadExchangeStreamCaptureMode) &&
         DCNBUILD_FIND(cuModuleLoadData) && DCNBUILD_FIND(cuModuleGetFunction) &&
         DCNBUILD_FIND(cuLaunchKernel);
#undef DCNBUILD_FIND
}

/// What the driver says of a call that failed.
bool failed(const Driver& driver, const std::string& call, Result error) {
  const char *name = nullptr, *text = nullptr;
  driver.cuGetErrorName(error, &name);
  driver.cuGetErrorString(error, &text);
  return fail(call + ": " + (name ? name : "error " + std::to_string(error)) + " (" +
              (text ? text : "not known to the driver") + ")");
}

std::mutex mutex;  // of what follows; never held while Python or the driver is called

/// The driver once it is there; null until then, and last_error() says why.
const Driver* driver() {
  static std::unique_ptr<Driver> found;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    if (found) return found.get();
  }
  auto now = std::make_unique<Driver>();
  if (!find_all(*now)) return nullptr;
  if (const Result error = now->cuInit(0); error != kSuccess) {
    failed(*now, "cuInit", error);
    return nullptr;
  }
  const std::lock_guard<std::mutex> lock(mutex);
  if (!found) found = std::move(now);
  return found.get();
}

#define DCNBUILD_DRIVER(cu, call, ...)                                   \
  do {                                                                   \
    if (const Result error = (cu)->call(__VA_ARGS__); error != kSuccess) \
      return failed(*(cu), #call, error);                                \
  } while (0)

/// What Python fills in by dcnbuild_deliver.
struct Request {
  std::string name, image, error;
};

using Compiler = void (*)(void* request, const char* expression, int capability);
Compiler compiler = nullptr;

}  // namespace

struct Entry {
  const std::string expression;
  std::vector<std::pair<Context, Function>> loaded{};
};

std::string& last_error() {
  static thread_local std::string text;
  return text;
}

Entry* entry_of(const std::string& expression) {
  static std::map<std::string, std::unique_ptr<Entry>> entries;
  const std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<Entry>& entry = entries[expression];
  if (!entry) entry.reset(new Entry{expression});
  return entry.get();
}

bool enter(int device) {
  const Driver* cu = driver();
  if (cu == nullptr) return false;
  int ours = 0, current = -1;
  DCNBUILD_DRIVER(cu, cuDeviceGet, &ours, device);
  Context context = nullptr;
  DCNBUILD_DRIVER(cu, cuCtxGetCurrent, &context);
  if (context != nullptr) {
    DCNBUILD_DRIVER(cu, cuCtxGetDevice, &current);
    if (current == ours) return true;
  }
  // Retained for good: the runtime, whose context it is too, keeps it as long as the process lives.
  DCNBUILD_DRIVER(cu, cuDevicePrimaryCtxRetain, &context, ours);
  DCNBUILD_DRIVER(cu, cuCtxSetCurrent, context);
  return true;
}

int processors() {
  const Driver* cu = driver();
  int device = 0, count = 0;
  const bool known = cu != nullptr && cu->cuCtxGetDevice(&device) == kSuccess &&
                     cu->cuDeviceGetAttribute(&count, kMultiprocessors, device) == kSuccess;
  return known ? count : 0;
}

namespace {

Function find_loaded(const Entry& entry, Context context) {
  const std::lock_guard<std::mutex> lock(mutex);
  for (const auto& [in, function] : entry.loaded)
    if (in == context) return function;
  return nullptr;
}

/// Whether the kernel takes parameters of these sizes: both sides were compiled from one text, by
/// two compilers.
bool check_parameters(const Driver& cu, const Entry& entry, Function function, const size_t* sizes,
                      size_t count) {
  if (cu.cuFuncGetParamInfo == nullptr) return true;
  size_t offset = 0, size = 0, there = 0;
  for (; cu.cuFuncGetParamInfo(function, there, &offset, &size) == kSuccess; ++there)
    if (there < count && size != sizes[there])
      return fail(entry.expression + ": parameter " + std::to_string(there) + " has " +
                  std::to_string(size) + " bytes in the kernel, and " +
                  std::to_string(sizes[there]) + " here");
  return there == count || fail(entry.expression + " takes " + std::to_string(there) +
                                " parameters, and is given " + std::to_string(count));
}

/// Lets this thread load a module while a stream is captured, which is an error otherwise. It is no
/// part of what is captured.
class RelaxedCapture {
 public:
  explicit RelaxedCapture(const Driver& cu) : cu_(cu) {
    cu_.cuThreadExchangeStreamCaptureMode(&mode_);
  }
  ~RelaxedCapture() { cu_.cuThreadExchangeStreamCaptureMode(&mode_); }
  RelaxedCapture(const RelaxedCapture&) = delete;

 private:
  const Driver& cu_;
  int mode_ = kCaptureRelaxed;
};

/// Compiles a kernel for the device of the current context, and loads it there.
bool load(const Driver& cu, Entry& entry, Context context, const size_t* sizes, size_t count,
          Function& function) {
  int device = 0, major = 0, minor = 0;
  DCNBUILD_DRIVER(&cu, cuCtxGetDevice, &device);
  DCNBUILD_DRIVER(&cu, cuDeviceGetAttribute, &major, kComputeCapabilityMajor, device);
  DCNBUILD_DRIVER(&cu, cuDeviceGetAttribute, &minor, kComputeCapabilityMinor, device);
  Compiler compile = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex);
    compile = compiler;
  }
  if (compile == nullptr)
    return fail("no compiler of kernels is registered: load this library with `import dcnbuild`");
  Request request;
  compile(&request, entry.expression.c_str(), 10 * major + minor);
  if (!request.error.empty()) return fail(request.error);
  if (request.image.empty()) return fail(entry.expression + ": nothing was compiled");
  const RelaxedCapture relaxed(cu);
  Module module = nullptr;
  if (const Result error = cu.cuModuleLoadData(&module, request.image.c_str()); error != kSuccess)
    return failed(cu, "cuModuleLoadData of " + entry.expression, error);
  if (const Result error = cu.cuModuleGetFunction(&function, module, request.name.c_str());
      error != kSuccess)
    return failed(cu, "cuModuleGetFunction of " + entry.expression, error);
  if (!check_parameters(cu, entry, function, sizes, count)) return false;
  const std::lock_guard<std::mutex> lock(mutex);
  entry.loaded.emplace_back(context, function);
  return true;
}

}  // namespace

bool launch(Entry& entry, unsigned blocks, unsigned threads, void* stream, void** arguments,
            const size_t* sizes, size_t count) {
  const Driver* cu = driver();
  if (cu == nullptr) return false;
  Context context = nullptr;
  DCNBUILD_DRIVER(cu, cuCtxGetCurrent, &context);
  if (context == nullptr) return fail("no CUDA context is current");
  Function function = find_loaded(entry, context);
  if (function == nullptr && !load(*cu, entry, context, sizes, count, function)) return false;
  const Result error =
      cu->cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, 0, stream, arguments, nullptr);
  return error == kSuccess || failed(*cu, "cuLaunchKernel of " + entry.expression, error);
}

}  // namespace dcnbuild::nvrtc

// Called by dcnbuild/builder/kernels.py.
extern "C" {

/// Says who compiles kernels: compile(request, expression, capability), which answers by
/// dcnbuild_deliver before it returns. A capability of 9.0 is 90.
__attribute__((visibility("default"))) void dcnbuild_set_compiler(void (*compile)(void*,
                                                                                  const char*,
                                                                                  int)) {
  const std::lock_guard<std::mutex> lock(dcnbuild::nvrtc::mutex);
  dcnbuild::nvrtc::compiler = compile;
}

/// The answer to a request: a kernel's name in the image, and the image, or else an error.
__attribute__((visibility("default"))) void dcnbuild_deliver(void* request, const char* name,
                                                             const char* image, size_t size,
                                                             const char* error) {
  auto& answer = *static_cast<dcnbuild::nvrtc::Request*>(request);
  answer.name = name, answer.error = error;
  answer.image.assign(image, size);
}
}
