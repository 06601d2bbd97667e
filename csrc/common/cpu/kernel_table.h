// The inner kernels of every operator on the CPU, in one table for each instruction set. Plain data
// without function templates, so that every instruction set can include it. No torch header.
#pragma once

#include <cstdint>

#include "deform_attn/cpu/kernels.h"
#include "deform_conv2d/cpu/kernels.h"

namespace dcnbuild::cpu {

/// C = A B, or C += A B; B and C are in panels as wide as one vector:
/// C[i][panel][lane] = sum over o < outer, k < inner of A[i][o][k] * B[panel][o][k][lane].
template <typename T, typename Sum = T>
struct Product {
  int64_t rows, panels, outer, inner;
  const T* a;
  int64_t a_row, a_outer, a_inner;
  const T* b;
  int64_t b_panel, b_outer, b_inner;
  Sum* c;
  int64_t c_row;  // the panels of C lie side by side
  bool accumulate;
};

/// The same for the bits of a half type, with sums in float. The inner dimension is divided into
/// units (`MatrixKernels::unit`); B has each lane's values of a unit side by side:
/// C[i][panel][lane] = sum over k < depth of A[i][k] * B[panel][k / unit][lane][k % unit].
/// `rows` need not be a multiple of `row_step`, but A and C must have memory for so many, and what
/// the further rows of C then hold is not defined. `depth` is a multiple of `depth_step`.
struct MatrixProduct {
  int64_t rows, panels, depth;
  const uint16_t* a;
  int64_t a_row;
  const uint16_t* b;
  int64_t b_panel, b_unit;
  float* c;
  int64_t c_row;  // the panels of C lie side by side
  bool accumulate;
};

/// out[i * out_i + j * out_j] = in[i * in_i + j * in_j], converted.
using Copy = void (*)(int64_t rows, int64_t columns, const void* in, int64_t in_i, int64_t in_j,
                      void* out, int64_t out_i, int64_t out_j);

/// A kernel that computes in T, for each dtype in memory; null for half types if T is double.
template <typename Argument>
struct OfStored {
  void (*same)(const Argument&);
  void (*half)(const Argument&);
  void (*bfloat16)(const Argument&);
};

/// One instruction set's kernels for float or double.
template <typename T>
struct Kernels {
  int64_t lanes;
  void (*gather)(const Samples<T>&);
  void (*differentiate)(const Differentiate<T>&);
  void (*multiply)(const Product<T>&);
  OfStored<ReadPoints<T>> read_points;          // by the locations' dtype
  OfStored<Attend<T>> attend;                   // by the value's dtype
  OfStored<AttendBackward<T>> attend_backward;  // by the value's dtype
  OfStored<SumCorners<T>> sum_corners;          // by the gradient's dtype
  Copy copy;                                    // T to T
  Copy from_half, from_bfloat16;                // to T; null for double
  Copy to_half, to_bfloat16;                    // from T; null for double
  Copy split_bfloat16, join_bfloat16;           // the same with channels out of order (copy.h)
};

/// A convolution's kernels for one half type, on an instruction set that multiplies it as it is.
/// Products read half numbers and sum in float; so does sampling, which rounds each column once.
struct MatrixKernels {
  int64_t lanes;  // of a panel
  int64_t unit;   // 2: vdpbf16ps, tdpbf16ps, bfdot; 4: bfmmla
  int64_t row_step, depth_step;
  void (*gather)(const Samples<float, uint16_t, uint16_t>&);
  void (*gather_floats)(const Samples<float, uint16_t>&);  // columns that `pack` rounds
  void (*differentiate)(const Differentiate<float, uint16_t>&);
  void (*multiply)(const MatrixProduct&);
  /// to[i / unit][column][i % unit] = from[i][column], rounded; zero for rows <= i < padded.
  void (*pack)(int64_t rows, int64_t padded, int64_t columns, const float* from, int64_t from_row,
               uint16_t* to);
  Copy copy;  // of bits
};

/// All kernels of one instruction set.
struct KernelTable {
  const char* name;
  Kernels<float> float_kernels;
  Kernels<double> double_kernels;
  /// Null where products in float are the fastest.
  const MatrixKernels* bfloat16 = nullptr;
  const MatrixKernels* half = nullptr;
};

/// The compiled tables. Call a table only on a CPU on which `selected_table` could return it.
extern const KernelTable generic_table;
#if defined(__x86_64__)
extern const KernelTable avx2_table, avx512_table;
#elif defined(__aarch64__)
extern const KernelTable neon_table;
// gcc before 10 does not know bfloat16, clang before 17 only if the whole file is compiled for it.
#if (defined(__clang__) && __clang_major__ >= 17) || (!defined(__clang__) && __GNUC__ >= 10)
#define DCNBUILD_HAS_NEON_BF16
extern const KernelTable neon_bf16_table;
#endif
#endif

/// The best table that this CPU can run, or the one that DCNBUILD_CPU_ISA names (isa.cpp has the
/// names). Throws std::runtime_error if that name is unknown or cannot run here.
const KernelTable& selected_table();

}  // namespace dcnbuild::cpu
