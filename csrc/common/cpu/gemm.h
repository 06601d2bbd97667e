// The matrix product of one tile, register-blocked. Included inside an instruction set's namespace.

/// One block of C, `rows` x `panels` vectors, kept in registers over the whole depth.
template <int rows, int panels, typename T>
DCNBUILD_INLINE void multiply_block(const Product<T>& p, const T* a, const T* b, T* c) {
  constexpr int lanes = kLanes<T>;
  Vector<T> sums[rows][panels];
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < panels; ++j)
      sums[i][j] = p.accumulate ? load(c + i * p.c_row + j * lanes) : Vector<T>{};
  // Addresses rows relative to every third row, which needs few enough registers to spill none.
  constexpr int step = 3, bases = (rows + step - 1) / step;
  const int64_t a_row = p.a_row, a_inner = p.a_inner, b_panel = p.b_panel, b_inner = p.b_inner;
  for (int64_t o = 0; o < p.outer; ++o) {
    const T* left[bases];
    for (int i = 0; i < bases; ++i) left[i] = a + o * p.a_outer + i * step * a_row;
    const T* right = b + o * p.b_outer;
    for (int64_t k = p.inner; k > 0; --k) {
      Vector<T> factors[panels];
      for (int j = 0; j < panels; ++j) factors[j] = load(right + j * b_panel);
      for (int i = 0; i < rows; ++i)
        for (int j = 0; j < panels; ++j)
          sums[i][j] += left[i / step][i % step * a_row] * factors[j];
      for (int i = 0; i < bases; ++i) left[i] += a_inner;
      right += b_inner;
    }
  }
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < panels; ++j) store(c + i * p.c_row + j * lanes, sums[i][j]);
}

/// Multiplies all rows of one or two panels, in blocks of `rows`; the last rows in smaller blocks.
template <int rows, int panels, typename T>
DCNBUILD_INLINE void multiply_rows(const Product<T>& p, int64_t i, const T* b, T* c) {
  for (; i + rows <= p.rows; i += rows)
    multiply_block<rows, panels>(p, p.a + i * p.a_row, b, c + i * p.c_row);
  if constexpr (rows > 1) {
    // 12, 6, 3, 1 or 8, 4, 2, 1
    if (i < p.rows) multiply_rows<rows / 2, panels>(p, i, b, c);
  }
}

template <typename T>
void multiply(const Product<T>& given) {
  Product<T> p = given;
  if (p.a_outer == p.inner * p.a_inner && p.b_outer == p.inner * p.b_inner) {
    p.inner *= p.outer;
    p.outer = 1;
  }
  int64_t panel = 0;
  for (; panel + 2 <= p.panels; panel += 2)
    multiply_rows<DCNBUILD_GEMM_ROWS, 2>(p, 0, p.b + panel * p.b_panel, p.c + panel * kLanes<T>);
  if (panel < p.panels)
    multiply_rows<DCNBUILD_GEMM_ROWS, 1>(p, 0, p.b + panel * p.b_panel, p.c + panel * kLanes<T>);
}
