// The matrix product of one tile, register-blocked. Included inside an instruction set's namespace.
// A and B have words of type T: numbers, or pairs of half numbers if the instruction set defines
// DCNBUILD_DOT(sums, pair, pairs), which adds the products of both halves of a pair.

template <typename V, typename T>
DCNBUILD_INLINE V multiply_add(V sums, T left, V right) {
  return sums + left * right;
}
#ifdef DCNBUILD_DOT
DCNBUILD_INLINE Vector<float> multiply_add(Vector<float> sums, uint32_t pair,
                                           Vector<uint32_t> pairs) {
  return DCNBUILD_DOT(sums, pair, pairs);
}
#endif

/// One block of C, `rows` x `panels` vectors, kept in registers over the whole depth.
template <int rows, int panels, typename T, typename Sum>
DCNBUILD_INLINE void multiply_block(const Product<T, Sum>& p, const T* a, const T* b, Sum* c) {
  constexpr int lanes = kLanes<T>;
  Vector<Sum> sums[rows][panels];
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < panels; ++j)
      sums[i][j] = p.accumulate ? load(c + i * p.c_row + j * lanes) : Vector<Sum>{};
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
          sums[i][j] = multiply_add(sums[i][j], left[i / step][i % step * a_row], factors[j]);
      for (int i = 0; i < bases; ++i) left[i] += a_inner;
      right += b_inner;
    }
  }
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < panels; ++j) store(c + i * p.c_row + j * lanes, sums[i][j]);
}

/// Multiplies all rows of one or two panels, in blocks of `rows`; the last rows in smaller blocks.
template <int rows, int panels, typename T, typename Sum>
DCNBUILD_INLINE void multiply_rows(const Product<T, Sum>& p, int64_t i, const T* b, Sum* c) {
  for (; i + rows <= p.rows; i += rows)
    multiply_block<rows, panels>(p, p.a + i * p.a_row, b, c + i * p.c_row);
  if constexpr (rows > 1) {
    // 12, 6, 3, 1 or 8, 4, 2, 1
    if (i < p.rows) multiply_rows<rows / 2, panels>(p, i, b, c);
  }
}

template <typename T, typename Sum>
void multiply(const Product<T, Sum>& given) {
  Product<T, Sum> p = given;
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

#ifdef DCNBUILD_DOT
/// `MatrixProduct` for units of two, as a product of pairs.
inline Product<uint32_t, float> of_pairs(const MatrixProduct& p) {
  const auto* a = reinterpret_cast<const uint32_t*>(p.a);
  const auto* b = reinterpret_cast<const uint32_t*>(p.b);
  return {p.rows, p.panels,      1, p.depth / 2,  a,   p.a_row / 2, 0,           1,
          b,      p.b_panel / 2, 0, p.b_unit / 2, p.c, p.c_row,     p.accumulate};
}

inline void multiply_pairs(const MatrixProduct& p) { multiply(of_pairs(p)); }
#endif

/// `MatrixKernels::pack` for units of two. Rows that a unit lacks are zeros.
template <int bytes, typename Half>
DCNBUILD_INLINE void pack_pair(const float* const (&rows)[2], int64_t c, int64_t count, Half* to) {
  constexpr int lanes = kLanes<float, bytes>;
  for (; c + lanes <= count; c += lanes) {
    Vector<uint32_t, bytes> words[2] = {};
    for (int row = 0; row < 2; ++row)
      if (rows[row]) words[row] = half_words<bytes, Half>(load<bytes>(rows[row] + c));
    store<bytes>(&to[2 * c].bits, bits_as<Vector<uint16_t, bytes>>(words[0] | (words[1] << 16)));
  }
  if constexpr (bytes > 16) {
    pack_pair<bytes / 2>(rows, c, count, to);
  } else {
    for (; c < count; ++c)
      for (int row = 0; row < 2; ++row) {
        const float value = rows[row] ? rows[row][c] : 0.0f;
        store_part(to + 2 * c + row, load_part(&value, 1, 1), 1);
      }
  }
}

template <typename Half>
void pack_pairs(int64_t rows, int64_t padded, int64_t columns, const float* from, int64_t from_row,
                uint16_t* to) {
  for (int64_t i = 0; i < padded; i += 2, to += 2 * columns) {
    const float* const pair[2] = {i < rows ? from + i * from_row : nullptr,
                                  i + 1 < rows ? from + (i + 1) * from_row : nullptr};
    pack_pair<DCNBUILD_VECTOR_BYTES>(pair, 0, columns, reinterpret_cast<Half*>(to));
  }
}
