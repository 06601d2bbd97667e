"""Blocks of C++ over the stable ABI that replacements call. A file gets those it calls."""

from __future__ import annotations

from dcnbuild.port.helpers import Helper
from dcnbuild.port.stable.operand import OPERAND

_OPS = ("torch/csrc/stable/tensor.h", "torch/csrc/stable/ops.h")
_SHIM = ("torch/csrc/inductor/aoti_torch/c/shim.h", "torch/headeronly/util/shim_utils.h")

CALL = Helper(
    "ported_call",
    """\
// Calls an operator of torch by its name. The arguments are those of its schema, all of them.
template <typename T>
struct PortedResult {
  static constexpr size_t count = 1;
  static T of(const StableIValue* stack) { return torch::stable::detail::to<T>(stack[0]); }
};
template <typename... T>
struct PortedResult<std::tuple<T...>> {
  static constexpr size_t count = sizeof...(T);
  static std::tuple<T...> of(const StableIValue* stack) {
    return {torch::stable::detail::to<T>(*stack++)...};
  }
};
template <typename Result = torch::stable::Tensor, typename... Arguments>
Result ported_call(const char* name, const char* overload, const Arguments&... arguments) {
  constexpr size_t results = PortedResult<Result>::count;
  constexpr size_t size = sizeof...(Arguments) > results ? sizeof...(Arguments) : results;
  std::array<StableIValue, size> stack{torch::stable::detail::from(arguments)...};
  TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(name, overload, stack.data(), TORCH_ABI_VERSION));
  return PortedResult<Result>::of(stack.data());
}
""",
    (*_OPS, "torch/csrc/stable/library.h", "array", "optional", "tuple", "vector"),
)
ITEM = Helper(
    "ported_item",
    """\
// The one value that a tensor holds, as x.item<T>() gave it.
template <typename T>
T ported_item(const torch::stable::Tensor& x) {
  STD_TORCH_CHECK(x.numel() == 1, "expected a tensor of one value, got ", x.numel());
  const torch::stable::Tensor here = torch::stable::to(
      x, torch::headeronly::CppTypeToScalarType<T>::value, std::nullopt,
      torch::stable::Device(torch::headeronly::DeviceType::CPU));
  return *here.const_data_ptr<T>();
}
""",
    (*_OPS, "torch/csrc/stable/device.h", "torch/headeronly/core/ScalarType.h", "optional"),
)
TEXT = Helper(
    "ported_text",
    """\
// Sizes as text: [2, 3].
inline std::string ported_text(torch::headeronly::IntHeaderOnlyArrayRef sizes) {
  std::string text = "[";
  for (size_t i = 0; i < sizes.size(); ++i) text += (i ? ", " : "") + std::to_string(sizes[i]);
  return text + "]";
}
""",
    ("torch/headeronly/util/HeaderOnlyArrayRef.h", "string"),
)
NARROWED = Helper(
    "ported_narrowed",
    """\
// A number that an operator hands over, as the type that a function takes, or an error.
template <typename To, typename From>
To ported_narrowed(const From& value, const char* name) {
  if constexpr (std::is_arithmetic_v<From>) {
    if constexpr (std::is_integral_v<To>) {
      STD_TORCH_CHECK(static_cast<From>(static_cast<To>(value)) == value && (value < 0) == (static_cast<To>(value) < 0),
                      name, " is out of range: ", value);
    }
    return static_cast<To>(value);
  } else {
    To found;
    if constexpr (std::is_same_v<From, std::optional<typename From::value_type>>) {
      if (value) found = ported_narrowed<typename To::value_type>(*value, name);
    } else {
      for (auto item : value) found.push_back(ported_narrowed<typename To::value_type>(item, name));
    }
    return found;
  }
}
""",
    ("torch/headeronly/util/Exception.h", "cstdint", "optional", "type_traits", "vector"),
)
WIDENED = Helper(
    "ported_widened",
    """\
// What a function returns, as the types that an operator hands back.
template <typename To, typename From>
To ported_widened(From value) {
  if constexpr (std::is_convertible_v<From, To>) {
    return static_cast<To>(std::move(value));
  } else {
    return To(value.begin(), value.end());
  }
}
""",
    ("type_traits", "tuple", "utility", "vector"),
)
BLOB = Helper(
    "ported_from_blob",
    """\
// A tensor over memory that it does not own, in the order of its sizes.
inline torch::stable::Tensor ported_from_blob(
    void* data, torch::headeronly::IntHeaderOnlyArrayRef sizes, torch::stable::Device device,
    torch::headeronly::ScalarType dtype) {
  std::vector<int64_t> strides(sizes.size(), 1);
  for (size_t i = sizes.size(); i > 1; --i) strides[i - 2] = strides[i - 1] * sizes[i - 1];
  return torch::stable::from_blob(data, sizes, strides, device, dtype);
}
""",
    (*_OPS, "torch/csrc/stable/device.h", "vector"),
)
WARN = Helper(
    "ported_warning",
    """\
// A warning of torch, from what is streamed into one text.
template <typename... Words>
void ported_warning(const char* function, const char* file, uint32_t line, const Words&... words) {
  std::ostringstream text;
  (text << ... << words);
  aoti_torch_warn(function, file, line, text.str().c_str());
}
#define PORTED_WARN(...) ported_warning(__func__, __FILE__, __LINE__, __VA_ARGS__)
""",
    (*_SHIM, "sstream"),
)
ACCESSOR = Helper(
    "ported_accessor",
    """\
// The accessors of a tensor, as x.accessor<T, N>() and x.packed_accessor32<T, N>() gave them.
template <typename T, size_t N>
torch::headeronly::HeaderOnlyTensorAccessor<T, N> ported_accessor(const torch::stable::Tensor& x) {
  STD_TORCH_CHECK(x.dim() == static_cast<int64_t>(N), "expected ", N, " dimensions, got ", x.dim());
  return {x.mutable_data_ptr<T>(), x.sizes().data(), x.strides().data()};
}
template <typename Index, typename T, size_t N,
          template <typename U> class Traits = torch::headeronly::DefaultPtrTraits>
torch::headeronly::HeaderOnlyGenericPackedTensorAccessor<T, N, Traits, Index> ported_packed(
    const torch::stable::Tensor& x) {
  STD_TORCH_CHECK(x.dim() == static_cast<int64_t>(N), "expected ", N, " dimensions, got ", x.dim());
  return {x.mutable_data_ptr<T>(), x.sizes().data(), x.strides().data()};
}
""",
    ("torch/csrc/stable/tensor.h", "torch/headeronly/core/TensorAccessor.h", "cstdint"),
)
STREAM = Helper(
    "ported_current_stream",
    """\
// torch's current stream on a GPU, the current one unless another is named.
extern "C" AOTITorchError aoti_torch_get_current_cuda_stream(int32_t device_index, void** stream);
inline cudaStream_t ported_current_stream(int32_t device = -1) {
  void* stream = nullptr;
  if (device < 0) device = torch::stable::accelerator::getCurrentDeviceIndex();
  TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(device, &stream));
  return static_cast<cudaStream_t>(stream);
}
""",
    (*_SHIM, "torch/csrc/stable/accelerator.h", "cuda_runtime.h"),
)
PROPERTIES = Helper(
    "ported_device_properties",
    """\
// The properties of the current GPU, asked for once for each.
inline const cudaDeviceProp* ported_device_properties() {
  static std::mutex mutex;
  static std::map<int, cudaDeviceProp> known;
  int device = 0;
  STD_CUDA_CHECK(cudaGetDevice(&device));
  std::lock_guard<std::mutex> lock(mutex);
  if (!known.count(device)) STD_CUDA_CHECK(cudaGetDeviceProperties(&known[device], device));
  return &known[device];
}
""",
    ("torch/csrc/stable/macros.h", "cuda_runtime.h", "map", "mutex"),
)
BLAS = Helper(
    "ported_blas_handle",
    """\
// torch's cuBLAS handle, set to its current stream.
inline cublasHandle_t ported_blas_handle() {
  void* handle = nullptr;
  TORCH_ERROR_CODE_CHECK(torch_get_current_cuda_blas_handle(&handle));
  return static_cast<cublasHandle_t>(handle);
}
""",
    (*_SHIM, "torch/csrc/stable/c/shim.h", "cublas_v2.h"),
)
CUBLAS = Helper(
    "ported_cublas_status",
    """\
#define PORTED_CUBLAS_CHECK(call)                                                  \\
  do {                                                                             \\
    const cublasStatus_t status = (call);                                          \\
    STD_TORCH_CHECK(status == CUBLAS_STATUS_SUCCESS, "cuBLAS returns ", int(status)); \\
  } while (0)
""",
    ("torch/headeronly/util/Exception.h", "cublas_v2.h"),
)
OPMATH = Helper(
    "ported_opmath",
    """\
// The type that sums of T are kept in: float for 16 bits.
template <typename T>
using ported_opmath = std::conditional_t<
    std::is_same_v<T, torch::headeronly::Half> || std::is_same_v<T, torch::headeronly::BFloat16>, float, T>;
""",
    ("torch/headeronly/util/BFloat16.h", "torch/headeronly/util/Half.h", "type_traits"),
)
ARGUMENT = Helper(
    "ported_argument",
    """\
// A tensor with its name and place among the arguments, and checks that name them.
struct PortedArgument {
  torch::stable::Tensor tensor;
  const char* name;
  int place;
  const torch::stable::Tensor* operator->() const { return &tensor; }
};
inline void ported_check_same_gpu(const char* function, const std::vector<PortedArgument>& all) {
  for (const PortedArgument& one : all) {
    STD_TORCH_CHECK(one->is_cuda(), function, ": ", one.name, " has to be on a GPU");
    STD_TORCH_CHECK(one->get_device_index() == all[0]->get_device_index(), function, ": ", one.name,
                    " is on GPU ", one->get_device_index(), ", ", all[0].name, " on ",
                    all[0]->get_device_index());
  }
}
inline void ported_check_same_type(const char* function, const std::vector<PortedArgument>& all) {
  for (const PortedArgument& one : all) {
    STD_TORCH_CHECK(one->scalar_type() == all[0]->scalar_type(), function, ": ", one.name, " is ",
                    torch::headeronly::toString(one->scalar_type()), ", ", all[0].name, " is ",
                    torch::headeronly::toString(all[0]->scalar_type()));
  }
}
""",
    ("torch/csrc/stable/tensor.h", "torch/headeronly/core/ScalarType.h", "vector"),
)
CEIL = Helper(
    "ported_ceil_div",
    """\
template <typename T, typename U>
constexpr auto ported_ceil_div(T a, U b) {
  return (a + b - 1) / b;
}
template <typename T, typename U>
constexpr auto ported_round_up(T a, U b) {
  return ported_ceil_div(a, b) * b;
}
""",
    (),
)
ATOMIC = Helper(
    "ported_atomic_add",
    """\
// atomicAdd for torch's dtypes: CUDA's own for 32 and 64 bits, a loop over the 32 bits around for 16.
template <typename T, typename V>
__device__ inline void ported_atomic_add(T* address, V given) {
  const T value = static_cast<T>(given);
  if constexpr (std::is_integral_v<T> && sizeof(T) == 8) {
    atomicAdd(reinterpret_cast<unsigned long long*>(address), static_cast<unsigned long long>(value));
  } else if constexpr (sizeof(T) == 2) {
    const bool high = reinterpret_cast<size_t>(address) & 2;
    auto* word = reinterpret_cast<unsigned int*>(reinterpret_cast<char*>(address) - (high ? 2 : 0));
    unsigned int seen = *word, before;
    do {
      before = seen;
      T sum;
      sum.x = static_cast<unsigned short>(high ? before >> 16 : before & 0xffff);
      sum = T(static_cast<float>(sum) + static_cast<float>(value));
      const unsigned int after =
          high ? (before & 0xffff) | (static_cast<unsigned int>(sum.x) << 16) : (before & 0xffff0000) | sum.x;
      seen = atomicCAS(word, before, after);
    } while (seen != before);
  } else {
    atomicAdd(address, value);
  }
}
""",
    ("torch/headeronly/util/BFloat16.h", "torch/headeronly/util/Half.h", "type_traits"),
)
LOOP = Helper(
    "ported_kernel_loop",
    """\
// The loop and the launch sizes of ATen/cuda/detail/KernelUtils.h.
#define CUDA_KERNEL_LOOP(i, n)                                                          \\
  for (int64_t i##_at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, i = i##_at; \\
       i##_at < (n); i##_at += int64_t(blockDim.x) * gridDim.x, i = i##_at)
constexpr int CUDA_NUM_THREADS = 1024;
inline int GET_BLOCKS(int64_t n, int64_t threads = CUDA_NUM_THREADS) {
  return static_cast<int>((n + threads - 1) / threads);
}
""",
    ("cstdint",),
)
HELPERS: tuple[Helper, ...] = (
    *(CALL, OPERAND, ITEM, TEXT, NARROWED, WIDENED, BLOB, WARN, ACCESSOR, STREAM, PROPERTIES, BLAS, CEIL),
    *(ATOMIC, LOOP, CUBLAS, OPMATH, ARGUMENT),
)
#: What tells that a text calls a helper, where that is not its name alone.
CALLED_AS = {
    "ported_operand": "ported_operand|ported_binary|ported_added|ported_add_|ported_pow",
    "ported_cublas_status": "PORTED_CUBLAS_CHECK",
    "ported_argument": "PortedArgument",
    "ported_kernel_loop": "CUDA_KERNEL_LOOP|GET_BLOCKS",
    "ported_warning": "PORTED_WARN",
    "ported_accessor": "ported_accessor|ported_packed",
    "ported_ceil_div": "ported_ceil_div|ported_round_up",
}
