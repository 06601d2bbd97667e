// What NEON does otherwise than gemm.h, and the table with it. Included once for each instruction
// set with DCNBUILD_NEON, after instruction_set.h.
//
// The product multiplies a vector of B by one lane of a vector of A, so that one load brings four
// factors of A. gemm.h's brings one, which suits x86-64, where a load can repeat it in all lanes.

namespace dcnbuild::cpu::DCNBUILD_ISA {

/// Whether a vector of A holds neighbours along its depth, or along its rows.
enum class Along { depth, rows };

template <int lane, typename V>
DCNBUILD_INLINE V multiply_add_lane(V sums, V left, V right) {
  return multiply_add(sums, left[lane], right);
}
#ifdef DCNBUILD_NEON_BF16
template <int lane>
DCNBUILD_INLINE Vector<float> multiply_add_lane(Vector<float> sums, Vector<uint32_t> left,
                                                Vector<uint32_t> right) {
  return vbfdotq_laneq_f32(sums, vreinterpretq_bf16_u32(right), vreinterpretq_bf16_u32(left), lane);
}
#endif

/// sums[i][j] += left[i][lane] * B[lane][j] for every lane from `lane` on.
template <int lane, int rows, int panels, typename T, typename V>
DCNBUILD_INLINE void add_lanes(V (&sums)[rows][panels], const Vector<T> (&left)[rows],
                               const T* right, int64_t b_panel, int64_t b_inner) {
  if constexpr (lane < kLanes<T>) {
    Vector<T> factors[panels];
    for (int j = 0; j < panels; ++j) factors[j] = load(right + j * b_panel);
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < panels; ++j)
        sums[i][j] = multiply_add_lane<lane>(sums[i][j], left[i], factors[j]);
    add_lanes<lane + 1>(sums, left, right + b_inner, b_panel, b_inner);
  }
}

/// One block of C, `rows` x `panels` vectors, kept in registers over the whole depth.
template <Along along, int rows, int panels, typename T, typename Sum>
DCNBUILD_INLINE void multiply_block_by_lanes(const Product<T, Sum>& p, const T* a, const T* b,
                                             Sum* c) {
  constexpr int lanes = kLanes<T>;
  const int64_t a_row = p.a_row, a_inner = p.a_inner, b_panel = p.b_panel, b_inner = p.b_inner;
  Vector<Sum> sums[rows][panels];
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < panels; ++j)
      sums[i][j] = p.accumulate ? load(c + i * p.c_row + j * lanes) : Vector<Sum>{};
  for (int64_t o = 0; o < p.outer; ++o, a += p.a_outer, b += p.b_outer) {
    const T *from = a, *right = b;
    int64_t k = 0;
    if constexpr (along == Along::depth) {
      for (; k + lanes <= p.inner; k += lanes) {
        Vector<T> left[rows];
        for (int i = 0; i < rows; ++i) left[i] = load(from + i * a_row);
        add_lanes<0>(sums, left, right, b_panel, b_inner);
        from += lanes, right += lanes * b_inner;
      }
    }
    for (; k < p.inner; ++k) {
      Vector<T> factors[panels];
      for (int j = 0; j < panels; ++j) factors[j] = load(right + j * b_panel);
      if constexpr (along == Along::rows) {
        for (int i = 0; i < rows; i += lanes) {
          const Vector<T> left = load(from + i);
          for (int lane = 0; lane < lanes; ++lane)
            for (int j = 0; j < panels; ++j) sums[i + lane][j] += left[lane] * factors[j];
        }
        from += a_inner;
      } else {
        for (int i = 0; i < rows; ++i)
          for (int j = 0; j < panels; ++j)
            sums[i][j] = multiply_add(sums[i][j], from[i * a_row], factors[j]);
        ++from;
      }
      right += b_inner;
    }
  }
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < panels; ++j) store(c + i * p.c_row + j * lanes, sums[i][j]);
}

/// Multiplies all rows of one or two panels, in blocks of eight rows, then of fewer.
template <Along along, int rows, int panels, typename T, typename Sum>
DCNBUILD_INLINE void multiply_rows_by_lanes(const Product<T, Sum>& p, int64_t i, const T* b,
                                            Sum* c) {
  if constexpr (along == Along::rows && rows < kLanes<T>) {
    multiply_rows<rows, panels>(p, i, b, c);
  } else {
    for (; i + rows <= p.rows; i += rows)
      multiply_block_by_lanes<along, rows, panels>(p, p.a + i * p.a_row, b, c + i * p.c_row);
    if constexpr (rows > 1)
      if (i < p.rows) multiply_rows_by_lanes<along, rows / 2, panels>(p, i, b, c);
  }
}

template <Along along, typename T, typename Sum>
DCNBUILD_INLINE void multiply_panels_by_lanes(const Product<T, Sum>& p) {
  int64_t panel = 0;
  for (; panel + 2 <= p.panels; panel += 2)
    multiply_rows_by_lanes<along, DCNBUILD_GEMM_ROWS, 2>(p, 0, p.b + panel * p.b_panel,
                                                         p.c + panel * kLanes<T>);
  if (panel < p.panels)
    multiply_rows_by_lanes<along, DCNBUILD_GEMM_ROWS, 1>(p, 0, p.b + panel * p.b_panel,
                                                         p.c + panel * kLanes<T>);
}

template <typename T>
void multiply_by_lanes(const Product<T>& p) {
  if (p.a_inner == 1) {
    multiply_panels_by_lanes<Along::depth>(p);
  } else if (p.a_row == 1) {
    multiply_panels_by_lanes<Along::rows>(p);
  } else {
    multiply(p);
  }
}

#ifdef DCNBUILD_DOT
/// `MatrixProduct` for units of two; pairs of A always lie along its depth.
inline void multiply_pairs_by_lanes(const MatrixProduct& p) {
  multiply_panels_by_lanes<Along::depth>(of_pairs(p));
}
#endif

template <typename T>
constexpr Kernels<T> kernels_by_lanes() {
  Kernels<T> k = kernels<T>();
  k.multiply = multiply_by_lanes<T>;
  return k;
}

constexpr KernelTable table(const char* name, const MatrixKernels* bfloat16 = nullptr) {
  return {name, kernels_by_lanes<float>(), kernels_by_lanes<double>(), bfloat16};
}

}  // namespace dcnbuild::cpu::DCNBUILD_ISA
