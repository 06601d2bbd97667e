"""The block of C++ with which signs and numbers beside tensors are worked out over the stable ABI."""

from __future__ import annotations

from dcnbuild.port.helpers import Helper

OPERAND = Helper(
    "ported_operand",
    """\
inline bool ported_is_whole(torch::headeronly::ScalarType type) {
  using torch::headeronly::ScalarType;
  for (const ScalarType whole : {ScalarType::Bool, ScalarType::Byte, ScalarType::Char, ScalarType::Short,
                                 ScalarType::Int, ScalarType::Long, ScalarType::UInt16, ScalarType::UInt32,
                                 ScalarType::UInt64}) {
    if (type == whole) return true;
  }
  return false;
}
// A number beside a tensor, as a tensor without dimensions that leaves the result its dtype.
template <typename T>
torch::stable::Tensor ported_operand(const T& value, const torch::stable::Tensor& beside) {
  if constexpr (std::is_arithmetic_v<T>) {
    using torch::headeronly::ScalarType;
    const ScalarType dtype = beside.scalar_type();
    const bool real = !ported_is_whole(dtype), whole = std::is_integral_v<T>;
    const auto made = [&](auto number, ScalarType type) {
      torch::stable::Tensor x = torch::stable::empty(
          {}, type, std::nullopt, torch::stable::Device(torch::headeronly::DeviceType::CPU));
      *x.mutable_data_ptr<decltype(number)>() = number;
      return x;
    };
    const torch::stable::Tensor x = std::is_same_v<T, bool> ? made(static_cast<bool>(value), ScalarType::Bool)
        : whole ? made(static_cast<int64_t>(value), ScalarType::Long)
        : real  ? made(static_cast<double>(value), ScalarType::Double)
                : made(static_cast<float>(value), ScalarType::Float);
    const bool as_beside = beside.dim() == 0 && (real || (whole && dtype != ScalarType::Bool));
    return as_beside ? torch::stable::to(x, dtype) : x;
  } else {
    return value;
  }
}
// An operator over two tensors, one of which may be a number. Beside a tensor without dimensions it would count
// for the dtype: such a tensor gets one for the time.
template <typename F>
torch::stable::Tensor ported_beside(const torch::stable::Tensor& x, F&& work) {
  if (x.dim()) return work(x);
  return torch::stable::squeeze(work(torch::stable::unsqueeze(x, 0)), 0);
}
template <typename A, typename B>
torch::stable::Tensor ported_binary(const char* name, const char* overload, const A& a, const B& b) {
  if constexpr (std::is_arithmetic_v<A>) {
    return ported_beside(b, [&](const auto& x) { return ported_call(name, overload, ported_operand(a, x), x); });
  } else if constexpr (std::is_arithmetic_v<B>) {
    return ported_beside(a, [&](const auto& x) { return ported_call(name, overload, x, ported_operand(b, x)); });
  } else {
    return ported_call(name, overload, a, b);
  }
}
template <typename B>
torch::stable::Tensor ported_pow(const torch::stable::Tensor& a, const B& b) {
  if constexpr (std::is_arithmetic_v<B>) {
    if (b == 2) return ported_call("aten::mul", "Tensor", a, a);  // as torch does with this number
  }
  return ported_binary("aten::pow", "Tensor_Tensor", a, b);
}
// a + sign * b. torch's add takes a Scalar; subtract's is a double, which integers refuse: they are summed.
template <typename A, typename B>
torch::stable::Tensor ported_added(const A& a, const B& b, int sign = 1) {
  if constexpr (std::is_arithmetic_v<A>) {
    return ported_beside(b, [&](const auto& x) { return ported_added(ported_operand(a, x), x, sign); });
  } else if constexpr (std::is_arithmetic_v<B>) {
    return ported_beside(a, [&](const auto& x) { return ported_added(x, ported_operand(b, x), sign); });
  } else {
    using torch::headeronly::ScalarType;
    using torch::stable::Tensor;
    const auto dtype = ported_call<ScalarType>("aten::result_type", "Tensor", a, b);
    if (!ported_is_whole(dtype)) return torch::stable::subtract(a, b, -sign);
    const auto device = a.dim() ? a.device() : b.device();
    const Tensor negated = sign < 0 ? ported_call("aten::neg", "", b) : b;
    const auto both = ported_call<std::vector<Tensor>>(
        "aten::broadcast_tensors", "",
        std::vector<Tensor>{torch::stable::to(a, dtype, std::nullopt, device),
                            torch::stable::to(negated, dtype, std::nullopt, device)});
    return ported_call("aten::sum", "dim_IntList", ported_call("aten::stack", "", both, int64_t(0)),
                       std::optional<std::vector<int64_t>>(std::vector<int64_t>{0}), false,
                       std::optional<ScalarType>(dtype));
  }
}
template <typename B>
torch::stable::Tensor ported_add_(torch::stable::Tensor a, const B& b, int sign = 1) {
  return torch::stable::copy_(a, ported_added(a, b, sign));
}
""",
    (
        "torch/csrc/stable/tensor.h",
        "torch/csrc/stable/ops.h",
        "torch/csrc/stable/device.h",
        "torch/headeronly/core/ScalarType.h",
        "cstdint",
        "optional",
        "type_traits",
    ),
    ("ported_call",),
)
