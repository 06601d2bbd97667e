"""Blocks of C++ that replacements call. A file that needs one gets it whole, behind its includes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Helper:
    """One block of code.

    Attributes:
        name: what it defines; also the include guard around it, so that two headers may hold it.
        text: the code, indented by two spaces, lines ending in "\\n".
        headers: what it includes.
        needs: the helpers it calls.
    """

    name: str
    text: str
    headers: tuple[str, ...]
    needs: tuple[str, ...] = ()

    @property
    def guard(self) -> str:
        """The macro that keeps it from being defined twice."""
        return self.name.upper()

    @property
    def guarded(self) -> str:
        """The text inside its guard."""
        return f"#ifndef {self.guard}\n#define {self.guard}\n{self.text}#endif  // {self.guard}\n"


_CUDA = ("ATen/cuda/CUDAContext.h", "c10/util/Exception.h", "algorithm", "cstdint")
_CPU = ("ATen/ATen.h", "cstdint")

_BASE = Helper(
    "ported_cublas_base",
    """\
inline cublasOperation_t ported_cublas_operation(char transposed) {
  TORCH_CHECK(transposed == 'n' || transposed == 'N' || transposed == 't' || transposed == 'T',
              "expected 'n' or 't', got '", transposed, "'");
  return transposed == 'n' || transposed == 'N' ? CUBLAS_OP_N : CUBLAS_OP_T;
}

inline int ported_cublas_int(int64_t value) {
  TORCH_CHECK(value >= 0 && value <= INT32_MAX, "cuBLAS takes sizes up to 2^31 - 1, got ", value);
  return static_cast<int>(value);
}

// A matrix of one column leads to no other: cuBLAS checks the leading dimension all the same.
inline int ported_cublas_leading(int64_t rows, int64_t columns, int64_t leading) {
  return ported_cublas_int(columns > 1 ? leading : std::max(std::max(leading, rows), int64_t{1}));
}
""",
    _CUDA,
)

_GEMM_LEADING = """\
  const bool flip_a = ported_cublas_operation(transa) == CUBLAS_OP_T;
  const bool flip_b = ported_cublas_operation(transb) == CUBLAS_OP_T;
  const int leading_a = ported_cublas_leading(flip_a ? k : m, flip_a ? m : k, lda);
  const int leading_b = ported_cublas_leading(flip_b ? n : k, flip_b ? k : n, ldb);
  const int leading_c = ported_cublas_leading(m, n, ldc);
"""
_GEMM_SIZES = """\
      at::cuda::getCurrentCUDABlasHandle(), ported_cublas_operation(transa),
      ported_cublas_operation(transb), ported_cublas_int(m), ported_cublas_int(n),
      ported_cublas_int(k),"""


def _cublas(letter: str, type: str) -> tuple[Helper, ...]:
    """The cuBLAS calls of one precision: letter "S" or "D"."""
    small = letter.lower()
    return (
        Helper(
            f"ported_cublas_{small}gemm",
            f"""\
// THCudaBlas_{letter}gemm as it was: column-major, on the handle and stream that torch uses.
inline void ported_cublas_{small}gemm(
    char transa, char transb, int64_t m, int64_t n, int64_t k, {type} alpha, const {type}* a,
    int64_t lda, const {type}* b, int64_t ldb, {type} beta, {type}* c, int64_t ldc) {{
{_GEMM_LEADING}\
  TORCH_CUDABLAS_CHECK(cublas{letter}gemm(
{_GEMM_SIZES} &alpha, a, leading_a, b, leading_b, &beta, c, leading_c));
}}
""",
            _CUDA,
            (_BASE.name,),
        ),
        Helper(
            f"ported_cublas_{small}gemm_batched",
            f"""\
// THCudaBlas_{letter}gemmBatched as it was: a, b and c are arrays of pointers in GPU memory.
inline void ported_cublas_{small}gemm_batched(
    char transa, char transb, int64_t m, int64_t n, int64_t k, {type} alpha,
    const {type}* const* a, int64_t lda, const {type}* const* b, int64_t ldb, {type} beta,
    {type}* const* c, int64_t ldc, int64_t batch) {{
{_GEMM_LEADING}\
  TORCH_CUDABLAS_CHECK(cublas{letter}gemmBatched(
{_GEMM_SIZES} &alpha, a, leading_a, b, leading_b, &beta, c, leading_c,
      ported_cublas_int(batch)));
}}
""",
            _CUDA,
            (_BASE.name,),
        ),
        Helper(
            f"ported_cublas_{small}gemm_strided_batched",
            f"""\
// THCudaBlas_{letter}gemmStridedBatched as it was: the strides are between matrices of the batch.
inline void ported_cublas_{small}gemm_strided_batched(
    char transa, char transb, int64_t m, int64_t n, int64_t k, {type} alpha, const {type}* a,
    int64_t lda, int64_t stride_a, const {type}* b, int64_t ldb, int64_t stride_b, {type} beta,
    {type}* c, int64_t ldc, int64_t stride_c, int64_t batch) {{
{_GEMM_LEADING}\
  TORCH_CUDABLAS_CHECK(cublas{letter}gemmStridedBatched(
{_GEMM_SIZES} &alpha, a, leading_a, stride_a, b, leading_b, stride_b, &beta, c,
      leading_c, stride_c, ported_cublas_int(batch)));
}}
""",
            _CUDA,
            (_BASE.name,),
        ),
        Helper(
            f"ported_cublas_{small}gemv",
            f"""\
// THCudaBlas_{letter}gemv as it was: y = alpha * op(a) * x + beta * y, a being m by n, column-major.
inline void ported_cublas_{small}gemv(
    char trans, int64_t m, int64_t n, {type} alpha, const {type}* a, int64_t lda, const {type}* x,
    int64_t incx, {type} beta, {type}* y, int64_t incy) {{
  TORCH_CUDABLAS_CHECK(cublas{letter}gemv(
      at::cuda::getCurrentCUDABlasHandle(), ported_cublas_operation(trans), ported_cublas_int(m),
      ported_cublas_int(n), &alpha, a, ported_cublas_leading(m, n, lda), x,
      ported_cublas_int(incx), &beta, y, ported_cublas_int(incy)));
}}
""",
            _CUDA,
            (_BASE.name,),
        ),
        Helper(
            f"ported_cublas_{small}ger",
            f"""\
// THCudaBlas_{letter}ger as it was: a += alpha * x * y^T, a being m by n, column-major.
inline void ported_cublas_{small}ger(
    int64_t m, int64_t n, {type} alpha, const {type}* x, int64_t incx, const {type}* y,
    int64_t incy, {type}* a, int64_t lda) {{
  TORCH_CUDABLAS_CHECK(cublas{letter}ger(
      at::cuda::getCurrentCUDABlasHandle(), ported_cublas_int(m), ported_cublas_int(n), &alpha, x,
      ported_cublas_int(incx), y, ported_cublas_int(incy), a, ported_cublas_leading(m, n, lda)));
}}
""",
            _CUDA,
            (_BASE.name,),
        ),
    )


_CPU_GEMM = Helper(
    "ported_blas_gemm",
    """\
// TH*Blas_gemm as it was: column-major, on the CPU. To torch, a column-major matrix is its own
// transpose, so this computes c^T = op(b)^T op(a)^T.
template <typename T>
void ported_blas_gemm(
    char transa, char transb, int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t lda,
    const T* b, int64_t ldb, T beta, T* c, int64_t ldc) {
  const auto options = at::TensorOptions().dtype(c10::CppTypeToScalarType<T>::value);
  auto transpose = [&](const T* data, char trans, int64_t rows, int64_t columns, int64_t leading) {
    const bool flip = trans == 't' || trans == 'T';
    auto stored = at::from_blob(const_cast<T*>(data), {flip ? rows : columns, flip ? columns : rows},
                                {leading, int64_t{1}}, options);
    return flip ? stored.t() : stored;
  };
  auto out = at::from_blob(c, {n, m}, {ldc, int64_t{1}}, options);
  at::addmm_out(out, out, transpose(b, transb, k, n, ldb), transpose(a, transa, m, k, lda), beta,
                alpha);
}
""",
    _CPU,
)
_CPU_GEMV = Helper(
    "ported_blas_gemv",
    """\
// TH*Blas_gemv as it was: y = alpha * op(a) * x + beta * y on the CPU, a being m by n, column-major.
template <typename T>
void ported_blas_gemv(
    char trans, int64_t m, int64_t n, T alpha, const T* a, int64_t lda, const T* x, int64_t incx,
    T beta, T* y, int64_t incy) {
  const auto options = at::TensorOptions().dtype(c10::CppTypeToScalarType<T>::value);
  const bool flip = trans == 't' || trans == 'T';
  auto matrix = at::from_blob(const_cast<T*>(a), {n, m}, {lda, int64_t{1}}, options);
  auto in = at::from_blob(const_cast<T*>(x), {flip ? m : n}, {incx}, options);
  auto out = at::from_blob(y, {flip ? n : m}, {incy}, options);
  at::addmv_out(out, out, flip ? matrix : matrix.t(), in, beta, alpha);
}
""",
    _CPU,
)

_SCALAR_TYPE = Helper(
    "ported_scalar_type",
    """\
// What torch's own detail::scalar_type was: the dtype, of x.scalar_type() and x.type() alike.
inline at::ScalarType ported_scalar_type(at::ScalarType type) { return type; }
inline at::ScalarType ported_scalar_type(const at::DeprecatedTypeProperties& type) {
  return type.scalarType();
}
""",
    ("ATen/core/DeprecatedTypeProperties.h",),
)

#: CUDA's shuffle → the helper that takes at::Half, too.
SHUFFLES = {f"__{name}_sync": f"ported_{name}_sync" for name in ("shfl", "shfl_up", "shfl_down", "shfl_xor")}


def _shuffle(old: str, new: str) -> Helper:
    return Helper(
        new,
        f"""\
// {old}, which finds at::Half ambiguous: it turns into float and into __half.
template <typename T>
__device__ inline T {new}(unsigned mask, T value, int lane, int width = 32) {{
  return {old}(mask, value, lane, width);
}}
__device__ inline c10::Half {new}(unsigned mask, c10::Half value, int lane, int width = 32) {{
  return c10::Half({old}(mask, static_cast<float>(value), lane, width));
}}
""",
        ("c10/util/Half.h",),
    )


HELPERS: dict[str, Helper] = {
    helper.name: helper
    for helper in (
        *(_BASE, *_cublas("S", "float"), *_cublas("D", "double")),
        *(_CPU_GEMM, _CPU_GEMV, _SCALAR_TYPE, *(_shuffle(old, new) for old, new in SHUFFLES.items())),
    )
}


def with_needs(names: list[str]) -> list[Helper]:
    """The helpers of these names, each behind what it calls, each once."""
    ordered: dict[str, Helper] = {}
    for name in names:
        for needed in (*HELPERS[name].needs, name):
            ordered.setdefault(needed, HELPERS[needed])
    return list(ordered.values())
