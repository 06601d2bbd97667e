// Copies between strided tensors and the dense buffers of a tile or an image, with conversion, in
// words of 16 bytes. Included inside an instruction set's namespace.

DCNBUILD_INLINE Vector<float, 16> load_word(const float* from) { return load<16>(from); }
DCNBUILD_INLINE Vector<double, 16> load_word(const double* from) { return load<16>(from); }
DCNBUILD_INLINE void store_word(float* to, Vector<float, 16> word) { store<16>(to, word); }
DCNBUILD_INLINE void store_word(double* to, Vector<double, 16> word) { store<16>(to, word); }

/// Bits that are copied without conversion.
DCNBUILD_INLINE Vector<uint16_t, 16> load_word(const uint16_t* from) { return load<16>(from); }
DCNBUILD_INLINE void store_word(uint16_t* to, Vector<uint16_t, 16> word) { store<16>(to, word); }

template <typename T>
using Word = decltype(load_word(static_cast<const T*>(nullptr)));

/// The number of values of T in a word: four, two of double, or eight of bits.
template <typename T>
constexpr int kWord = sizeof(Word<T>) / sizeof(Word<T>{}[0]);

/// A word of `count` values, the rest zero.
template <typename T>
DCNBUILD_INLINE Word<T> load_part(const T* from, int64_t step, int64_t count) {
  T values[kWord<T>] = {};
  for (int64_t k = 0; k < count; ++k) values[k] = from[k * step];
  return load_word(values);
}

template <typename T>
DCNBUILD_INLINE void store_part(T* to, Word<T> word, int64_t count) {
  T values[kWord<T>];
  store_word(values, word);
  for (int64_t k = 0; k < count; ++k) to[k] = values[k];
}

/// to[i * to_row + j] = from[i * from_row + j]. The loop is short, so that the CPU loads many rows
/// at a time.
template <typename From, typename To>
DCNBUILD_NOINLINE void copy_rows(int64_t rows, int64_t columns, const From* from, int64_t from_row,
                                 To* to, int64_t to_row) {
  constexpr int size = kWord<To>;
  for (int64_t i = 0; i < rows; ++i, from += from_row, to += to_row) {
    int64_t j = 0;
    if constexpr (__is_same(From, To))
      for (; j + kLanes<To> <= columns; j += kLanes<To>) store(to + j, load(from + j));
    for (; j + size <= columns; j += size) store_word(to + j, load_word(from + j));
    if (j < columns) store_part(to + j, load_part(from + j, 1, columns - j), columns - j);
  }
}

/// to[i * to_row + j] = from[i * from_row + j * step].
template <typename From, typename To>
DCNBUILD_NOINLINE void copy_strided(int64_t rows, int64_t columns, const From* from,
                                    int64_t from_row, int64_t step, To* to, int64_t to_row) {
  constexpr int size = kWord<To>;
  for (int64_t i = 0; i < rows; ++i, from += from_row, to += to_row)
    for (int64_t j = 0; j < columns; j += size) {
      const int64_t count = columns - j < size ? columns - j : size;
      store_part(to + j, load_part(from + j * step, step, count), count);
    }
}

DCNBUILD_INLINE void transpose(Vector<float, 16> (&w)[4]) {
  const auto a = DCNBUILD_SHUFFLE4(w[0], w[1], 0, 4, 1, 5),
             b = DCNBUILD_SHUFFLE4(w[0], w[1], 2, 6, 3, 7);
  const auto c = DCNBUILD_SHUFFLE4(w[2], w[3], 0, 4, 1, 5),
             d = DCNBUILD_SHUFFLE4(w[2], w[3], 2, 6, 3, 7);
  w[0] = DCNBUILD_SHUFFLE4(a, c, 0, 1, 4, 5);
  w[1] = DCNBUILD_SHUFFLE4(a, c, 2, 3, 6, 7);
  w[2] = DCNBUILD_SHUFFLE4(b, d, 0, 1, 4, 5);
  w[3] = DCNBUILD_SHUFFLE4(b, d, 2, 3, 6, 7);
}

DCNBUILD_INLINE void transpose(Vector<double, 16> (&w)[2]) {
  const auto a = DCNBUILD_SHUFFLE2(w[0], w[1], 0, 2), b = DCNBUILD_SHUFFLE2(w[0], w[1], 1, 3);
  w[0] = a;
  w[1] = b;
}

/// Each of three rounds interleaves rows four apart.
DCNBUILD_INLINE void transpose(Vector<uint16_t, 16> (&w)[8]) {
  for (int round = 0; round < 3; ++round) {
    Vector<uint16_t, 16> mixed[8];
    for (int i = 0; i < 4; ++i) {
      mixed[2 * i] = DCNBUILD_SHUFFLE8(w[i], w[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
      mixed[2 * i + 1] = DCNBUILD_SHUFFLE8(w[i], w[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; ++i) w[i] = mixed[i];
  }
}

/// to[i * to_row + j] = from[j * from_row + i] for i < rows and j < columns, at most a word of
/// each.
template <typename From, typename To>
DCNBUILD_INLINE void transpose_words(int64_t rows, int64_t columns, const From* from,
                                     int64_t from_row, To* to, int64_t to_row) {
  constexpr int size = kWord<To>;
  Word<To> words[size];
  if (rows == size && columns == size) {
    for (int j = 0; j < size; ++j) words[j] = load_word(from + j * from_row);
    transpose(words);
    for (int i = 0; i < size; ++i) store_word(to + i * to_row, words[i]);
  } else if (rows == 1 && columns == size) {
    // One row or column is left of the nine taps of most convolutions.
    store_word(to, load_part(from, from_row, columns));
  } else if (rows == size && columns == 1) {
    To values[size];
    store_word(values, load_word(from));
    for (int i = 0; i < size; ++i) to[i * to_row] = values[i];
  } else {
    for (int j = 0; j < size; ++j)
      words[j] = load_part(from + j * from_row, 1, j < columns ? rows : 0);
    transpose(words);
    for (int64_t i = 0; i < rows; ++i) store_part(to + i * to_row, words[i], columns);
  }
}

/// The same for any rows and columns, in blocks whose narrower side stays in L1. It goes word by
/// word along the longer rows, so that each of their cache lines is touched only once: such lines
/// often fall into one set of the cache.
template <typename From, typename To>
DCNBUILD_NOINLINE void copy_transposed(int64_t rows, int64_t columns, const From* from,
                                       int64_t from_row, To* to, int64_t to_row) {
  constexpr int64_t block = 64, size = kWord<To>;
  const auto part = [](int64_t total, int64_t at, int64_t most) {
    return total - at < most ? total - at : most;
  };
  for (int64_t i0 = 0; i0 < rows; i0 += block)
    for (int64_t j0 = 0; j0 < columns; j0 += block) {
      const int64_t height = part(rows, i0, block), width = part(columns, j0, block);
      const auto words = [&](int64_t i, int64_t j) {
        transpose_words(part(height, i, size), part(width, j, size),
                        from + (j0 + j) * from_row + i0 + i, from_row,
                        to + (i0 + i) * to_row + j0 + j, to_row);
      };
      if (from_row > to_row) {
        for (int64_t j = 0; j < width; j += size)
          for (int64_t i = 0; i < height; i += size) words(i, j);
      } else {
        for (int64_t i = 0; i < height; i += size)
          for (int64_t j = 0; j < width; j += size) words(i, j);
      }
    }
}

/// `Copy` for one pair of types.
template <typename From, typename To>
void copy(int64_t rows, int64_t columns, const void* in, int64_t in_i, int64_t in_j, void* out,
          int64_t out_i, int64_t out_j) {
  const From* from = static_cast<const From*>(in);
  To* to = static_cast<To*>(out);
  if (out_j != 1 && out_i == 1) {
    copy<From, To>(columns, rows, in, in_j, in_i, out, out_j, out_i);
  } else if (out_j != 1) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j)
        store_part(to + i * out_i + j * out_j, load_part(from + i * in_i + j * in_j, 1, 1), 1);
  } else if (in_j != 1 && in_i == 1) {
    copy_transposed(rows, columns, from, in_j, to, out_i);
  } else if (in_j == 1) {
    copy_rows(rows, columns, from, in_i, to, out_i);
  } else {
    copy_strided(rows, columns, from, in_i, in_j, to, out_i);
  }
}

/// to[c] = from[c * step] for the channels from c on, in the order in which `load_two` takes them
/// apart: for each pair of vectors every other channel, then those between; the last few as they
/// are.
template <int bytes>
DCNBUILD_INLINE void split_channels(int64_t c, int64_t count, const BFloat16Bits* from,
                                    int64_t step, float* to) {
  constexpr int lanes = kLanes<float, bytes>;
  for (; c + 2 * lanes <= count; c += 2 * lanes) {
    BFloat16Bits group[2 * lanes];
    if (step != 1)
      for (int k = 0; k < 2 * lanes; ++k) group[k] = from[(c + k) * step];
    Vector<float, bytes> two[2];
    load_two<bytes>(step == 1 ? from + c : group, two);
    store<bytes>(to + c, two[0]);
    store<bytes>(to + c + lanes, two[1]);
  }
  if constexpr (bytes > 16) {
    split_channels<bytes / 2>(c, count, from, step, to);
  } else {
    for (; c < count; ++c) to[c] = value_of(from[c * step]);
  }
}

/// Puts them side by side again.
template <int bytes>
DCNBUILD_INLINE void join_channels(int64_t c, int64_t count, const float* from, BFloat16Bits* to) {
  constexpr int lanes = kLanes<float, bytes>;
  for (; c + 2 * lanes <= count; c += 2 * lanes) {
    const auto even = bfloat16_bits(load<bytes>(from + c)),
               odd = bfloat16_bits(load<bytes>(from + c + lanes));
    store<bytes>(&to[c].bits, bits_as<Vector<uint16_t, bytes>>((even >> 16) | (odd & 0xffff0000u)));
  }
  if constexpr (bytes > 16) {
    join_channels<bytes / 2>(c, count, from, to);
  } else {
    for (; c < count; c += 4) {
      const int64_t part = count - c < 4 ? count - c : 4;
      store_part(to + c, load_part(from + c, 1, part), part);
    }
  }
}

/// `Copy` of bfloat16 to float in the order of `split_channels`, for out_j = 1.
inline void split_bfloat16(int64_t rows, int64_t columns, const void* in, int64_t in_i,
                           int64_t in_j, void* out, int64_t out_i, int64_t /*out_j*/) {
  for (int64_t i = 0; i < rows; ++i)
    split_channels<DCNBUILD_VECTOR_BYTES>(0, columns,
                                          static_cast<const BFloat16Bits*>(in) + i * in_i, in_j,
                                          static_cast<float*>(out) + i * out_i);
}

/// And back, for in_j = 1 and out_j = 1.
inline void join_bfloat16(int64_t rows, int64_t columns, const void* in, int64_t in_i,
                          int64_t /*in_j*/, void* out, int64_t out_i, int64_t /*out_j*/) {
  for (int64_t i = 0; i < rows; ++i)
    join_channels<DCNBUILD_VECTOR_BYTES>(0, columns, static_cast<const float*>(in) + i * in_i,
                                         static_cast<BFloat16Bits*>(out) + i * out_i);
}
