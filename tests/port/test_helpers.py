"""Tests that the BLAS helpers compute the same as the functions that they replace.

The cuBLAS helpers run with a small cuBLAS written here, which checks leading dimensions like the real one; the CPU
helpers run with torch's headers.
"""

from __future__ import annotations

import ctypes
import itertools
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from dcnbuild.port.helpers import HELPERS, with_needs

FAKE_CUBLAS = r"""
#include <algorithm>
#include <cstdint>
#include <stdexcept>
typedef int cublasHandle_t;
enum cublasOperation_t { CUBLAS_OP_N, CUBLAS_OP_T };
#define TORCH_CHECK(c, ...) do { if (!(c)) throw std::runtime_error(#c); } while (0)
#define TORCH_CUDABLAS_CHECK(call) do { if (call) throw std::runtime_error(#call); } while (0)
namespace at { namespace cuda { inline cublasHandle_t getCurrentCUDABlasHandle() { return 0; } } }
template <typename T> T at_of(const T* a, int ld, bool t, int i, int j) { return t ? a[j + i * ld] : a[i + j * ld]; }
template <typename T> int gemm(cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const T* alpha,
    const T* a, int lda, const T* b, int ldb, const T* beta, T* c, int ldc) {
  if (lda < std::max(1, ta ? k : m) || ldb < std::max(1, tb ? n : k) || ldc < std::max(1, m)) return 1;
  for (int i = 0; i < m; i++) for (int j = 0; j < n; j++) {
    T sum = 0;
    for (int l = 0; l < k; l++) sum += at_of(a, lda, ta, i, l) * at_of(b, ldb, tb, l, j);
    T& out = c[i + j * ldc];
    out = *alpha * sum + (*beta == 0 ? 0 : *beta * out);
  }
  return 0;
}
template <typename T> int gemv(cublasOperation_t t, int m, int n, const T* alpha, const T* a, int lda, const T* x,
    int incx, const T* beta, T* y, int incy) {
  if (lda < std::max(1, m)) return 1;
  for (int i = 0; i < (t ? n : m); i++) {
    T sum = 0;
    for (int l = 0; l < (t ? m : n); l++) sum += at_of(a, lda, t, i, l) * x[l * incx];
    y[i * incy] = *alpha * sum + (*beta == 0 ? 0 : *beta * y[i * incy]);
  }
  return 0;
}
#define PRECISION(L, T) \
inline int cublas##L##gemm(cublasHandle_t, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const T* al, \
    const T* a, int lda, const T* b, int ldb, const T* be, T* c, int ldc) { return gemm(ta, tb, m, n, k, al, a, lda, b, ldb, be, c, ldc); } \
inline int cublas##L##gemmBatched(cublasHandle_t, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const T* al, \
    const T* const a[], int lda, const T* const b[], int ldb, const T* be, T* const c[], int ldc, int batch) { \
  for (int i = 0; i < batch; i++) if (gemm(ta, tb, m, n, k, al, a[i], lda, b[i], ldb, be, c[i], ldc)) return 1; \
  return 0; } \
inline int cublas##L##gemmStridedBatched(cublasHandle_t, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k, const T* al, \
    const T* a, int lda, long long sa, const T* b, int ldb, long long sb, const T* be, T* c, int ldc, long long sc, int batch) { \
  for (int i = 0; i < batch; i++) if (gemm(ta, tb, m, n, k, al, a + i * sa, lda, b + i * sb, ldb, be, c + i * sc, ldc)) return 1; \
  return 0; } \
inline int cublas##L##gemv(cublasHandle_t, cublasOperation_t t, int m, int n, const T* al, const T* a, int lda, const T* x, int ix, \
    const T* be, T* y, int iy) { return gemv(t, m, n, al, a, lda, x, ix, be, y, iy); } \
inline int cublas##L##ger(cublasHandle_t, int m, int n, const T* al, const T* x, int ix, const T* y, int iy, T* a, int lda) { \
  if (lda < std::max(1, m)) return 1; \
  for (int i = 0; i < m; i++) for (int j = 0; j < n; j++) a[i + j * lda] += *al * x[i * ix] * y[j * iy]; \
  return 0; }
PRECISION(S, float) PRECISION(D, double)
"""

EXPORTS = r"""
extern "C" {
#define GUARD(call) try { call; return 0; } catch (const std::exception&) { return 1; }
#define EXPORT(L, T) \
int L##gemm(char ta, char tb, int64_t m, int64_t n, int64_t k, T al, T* a, int64_t lda, T* b, int64_t ldb, T be, T* c, int64_t ldc) \
{ GUARD(ported_cublas_##L##gemm(ta, tb, m, n, k, al, a, lda, b, ldb, be, c, ldc)) } \
int L##batched(char ta, char tb, int64_t m, int64_t n, int64_t k, T al, T* a, int64_t lda, T* b, int64_t ldb, T be, T* c, int64_t ldc) \
{ const T* as[] = {a, a}; const T** bs = new const T*[2]{b, b}; T* cs[] = {c, c + ldc * n}; \
  GUARD(ported_cublas_##L##gemm_batched(ta, tb, m, n, k, al, as, lda, bs, ldb, be, cs, ldc, 2)) } \
int L##strided(char ta, char tb, int64_t m, int64_t n, int64_t k, T al, T* a, int64_t lda, T* b, int64_t ldb, T be, T* c, int64_t ldc) \
{ GUARD(ported_cublas_##L##gemm_strided_batched(ta, tb, m, n, k, al, a, lda, 0, b, ldb, 0, be, c, ldc, ldc * n, 2)) } \
int L##gemv(char t, int64_t m, int64_t n, T al, T* a, int64_t lda, T* x, int64_t ix, T be, T* y, int64_t iy) \
{ GUARD(ported_cublas_##L##gemv(t, m, n, al, a, lda, x, ix, be, y, iy)) } \
int L##ger(int64_t m, int64_t n, T al, T* x, int64_t ix, T* y, int64_t iy, T* a, int64_t lda) \
{ GUARD(ported_cublas_##L##ger(m, n, al, x, ix, y, iy, a, lda)) }
EXPORT(s, float) EXPORT(d, double)
}
"""

CPU_EXPORTS = r"""
#include <ATen/ATen.h>
extern "C" {
void gemm(char ta, char tb, int64_t m, int64_t n, int64_t k, double al, double* a, int64_t lda, double* b, int64_t ldb,
          double be, double* c, int64_t ldc)
{ ported_blas_gemm<double>(ta, tb, m, n, k, al, a, lda, b, ldb, be, c, ldc); }
void gemv(char t, int64_t m, int64_t n, double al, double* a, int64_t lda, double* x, int64_t ix, double be, double* y, int64_t iy)
{ ported_blas_gemv<double>(t, m, n, al, a, lda, x, ix, be, y, iy); }
}
"""

#: m, n, k, and how much longer each leading dimension is than it must be.
SIZES = ((2, 3, 4, 0), (3, 2, 5, 2), (1, 1, 1, 0), (4, 1, 1, 1), (5, 4, 1, 0), (0, 3, 2, 0))


def build(directory: Path, source: str, *flags: str) -> ctypes.CDLL:
    path = directory / "helpers.cpp"
    path.write_text(source)
    library = directory / "helpers.so"
    command = [
        "g++",
        "-std=c++20",
        "-O1",
        "-fPIC",
        "-shared",
        str(path),
        "-o",
        str(library),
        *flags,
    ]
    subprocess.run(command, check=True, capture_output=True)
    return ctypes.CDLL(str(library))


@pytest.fixture(scope="module")
def cublas(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    names = [name for name in HELPERS if name.startswith("ported_cublas_")]
    text = "".join(helper.guarded for helper in with_needs(names))
    return build(tmp_path_factory.mktemp("cublas"), FAKE_CUBLAS + text + text + EXPORTS)


def matrix(rows: int, columns: int, leading: int, kind: type) -> np.ndarray:
    """A column-major matrix in a buffer, as an array of shape (columns, leading)."""
    values = np.random.default_rng(rows * 7 + columns).integers(-9, 9, (max(columns, 1), leading))
    return values.astype(kind)


def seen(buffer: np.ndarray, rows: int, columns: int, transposed: str) -> np.ndarray:
    plain = buffer[:columns, :rows].T.astype(np.float64)
    return plain.T if transposed in "tT" else plain


def pointer(buffer: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(buffer.ctypes.data)


def number(value: float, kind: type) -> ctypes.c_float | ctypes.c_double:
    return ctypes.c_float(value) if kind is np.float32 else ctypes.c_double(value)


@pytest.mark.parametrize("function", ["gemm", "batched", "strided"])
@pytest.mark.parametrize(("letter", "kind"), [("s", np.float32), ("d", np.float64)])
@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_products(cublas: ctypes.CDLL, function: str, letter: str, kind: type, beta: float) -> None:
    batch = 1 if function == "gemm" else 2
    for (m, n, k, more), ta, tb in itertools.product(SIZES, "nT", "Nt"):
        rows_a, columns_a = (m, k) if ta == "n" else (k, m)
        rows_b, columns_b = (k, n) if tb == "N" else (n, k)
        lda, ldb, ldc = (max(rows, 1) + more for rows in (rows_a, rows_b, m))
        a, b = matrix(rows_a, columns_a, lda, kind), matrix(rows_b, columns_b, ldb, kind)
        c = np.full((batch, n, ldc), np.nan if beta == 0 else 3, kind)
        wanted = 2 * seen(a, rows_a, columns_a, ta) @ seen(b, rows_b, columns_b, tb)
        status = getattr(cublas, letter + function)(
            *(ctypes.c_char(ta.encode()), ctypes.c_char(tb.encode())),
            *map(ctypes.c_int64, (m, n, k)),
            *(number(2, kind), pointer(a), ctypes.c_int64(lda)),
            *(pointer(b), ctypes.c_int64(ldb), number(beta, kind), pointer(c), ctypes.c_int64(ldc)),
        )
        assert status == 0
        for one in c:
            np.testing.assert_array_equal(one[:, :m].T, wanted + (3 * beta if beta else 0))


@pytest.mark.parametrize(("letter", "kind"), [("s", np.float32), ("d", np.float64)])
def test_vectors(cublas: ctypes.CDLL, letter: str, kind: type) -> None:
    for (m, n, _, more), t in itertools.product(SIZES[:-1], "nt"):
        a = matrix(m, n, m + more, kind)
        inner, outer = (n, m) if t == "n" else (m, n)
        x, y = matrix(inner, 1, 2 * inner, kind).ravel(), np.full(3 * outer, 4, kind)
        wanted = 2 * seen(a, m, n, t) @ x[::2] + 0.5 * 4
        assert not getattr(cublas, letter + "gemv")(
            *(ctypes.c_char(t.encode()), ctypes.c_int64(m), ctypes.c_int64(n), number(2, kind)),
            *(pointer(a), ctypes.c_int64(m + more), pointer(x), ctypes.c_int64(2)),
            *(number(0.5, kind), pointer(y), ctypes.c_int64(3)),
        )
        np.testing.assert_array_equal(y[::3], wanted)
        before = seen(a, m, n, "n").copy()
        u, v = matrix(m, 1, m, kind).ravel(), matrix(n, 1, n, kind).ravel()
        assert not getattr(cublas, letter + "ger")(
            *(ctypes.c_int64(m), ctypes.c_int64(n), number(2, kind), pointer(u), ctypes.c_int64(1)),
            *(pointer(v), ctypes.c_int64(1), pointer(a), ctypes.c_int64(m + more)),
        )
        np.testing.assert_array_equal(seen(a, m, n, "n"), before + 2 * np.outer(u, v))


def test_one_column_needs_no_leading_dimension_and_more_do(cublas: ctypes.CDLL) -> None:
    a, b, c = (np.ones(16, np.float64) for _ in range(3))

    def gemm(ta: bytes, m: int, n: int, k: int, lda: int, ldb: int, ldc: int) -> int:
        return int(
            cublas.dgemm(
                *(ctypes.c_char(ta), ctypes.c_char(b"n"), *map(ctypes.c_int64, (m, n, k))),
                *(ctypes.c_double(1), pointer(a), ctypes.c_int64(lda), pointer(b)),
                *(ctypes.c_int64(ldb), ctypes.c_double(0), pointer(c), ctypes.c_int64(ldc)),
            )
        )

    assert gemm(b"n", 4, 1, 1, 1, 1, 1) == 0  # one column each: any value was taken
    assert gemm(b"n", 4, 3, 3, 1, 3, 4) == 1  # a of three columns, four rows, leading 1
    assert gemm(b"x", 1, 1, 1, 1, 1, 1) == 1  # neither "n" nor "t"
    assert gemm(b"n", 2**31, 1, 1, 2**31, 1, 2**31) == 1


@pytest.mark.slow
def test_products_on_the_cpu(tmp_path: Path) -> None:
    import torch

    root = Path(torch.__file__).parent
    text = "".join(HELPERS[name].guarded for name in ("ported_blas_gemm", "ported_blas_gemv"))
    library = build(
        tmp_path,
        CPU_EXPORTS.replace("extern", text + "extern", 1),
        *("-isystem", str(root / "include"), "-isystem", sysconfig.get_paths()["include"]),
        *(f"-L{root / 'lib'}", "-lc10", "-ltorch_cpu", f"-Wl,-rpath,{root / 'lib'}"),
    )
    kind = np.float64
    for (m, n, k, more), ta, tb in itertools.product(SIZES[:-1], "nt", "nt"):
        rows_a, columns_a = (m, k) if ta == "n" else (k, m)
        rows_b, columns_b = (k, n) if tb == "n" else (n, k)
        lda, ldb, ldc = rows_a + more, rows_b + more, m + more
        a, b = matrix(rows_a, columns_a, lda, kind), matrix(rows_b, columns_b, ldb, kind)
        c = np.full((n, ldc), 3, kind)
        library.gemm(
            *(ctypes.c_char(ta.encode()), ctypes.c_char(tb.encode())),
            *map(ctypes.c_int64, (m, n, k)),
            *(ctypes.c_double(2), pointer(a), ctypes.c_int64(lda), pointer(b)),
            *(ctypes.c_int64(ldb), ctypes.c_double(0.5), pointer(c), ctypes.c_int64(ldc)),
        )
        wanted = 2 * seen(a, rows_a, columns_a, ta) @ seen(b, rows_b, columns_b, tb) + 1.5
        np.testing.assert_array_equal(c[:, :m].T, wanted)
        np.testing.assert_array_equal(c[:, m:], 3)
        x, y = np.arange(m if ta == "t" else n, dtype=kind), np.ones(n if ta == "t" else m)
        matrix_a = matrix(m, n, m + more, kind)
        library.gemv(
            *(ctypes.c_char(ta.encode()), ctypes.c_int64(m), ctypes.c_int64(n), ctypes.c_double(2)),
            *(pointer(matrix_a), ctypes.c_int64(m + more), pointer(x), ctypes.c_int64(1)),
            *(ctypes.c_double(1), pointer(y), ctypes.c_int64(1)),
        )
        np.testing.assert_array_equal(y, 2 * seen(matrix_a, m, n, ta) @ x + 1)
