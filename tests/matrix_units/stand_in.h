// Stands in for the instructions of AVX-512, AVX512-BF16, AMX and AMX-FP16 that the kernels name,
// so that the kernels run on a CPU with AVX2. Each does what Intel's manual says of it, to the last
// bit. A use that the hardware answers with a fault, or that leaves a tile undefined, aborts.
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace stand_in {

inline float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// Zero in place of a subnormal number, with its sign.
inline float flushed(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return float_of(bits & 0x7f800000 ? bits : bits & 0x80000000);
}

inline float from_bfloat16(uint16_t bits) { return float_of(static_cast<uint32_t>(bits) << 16); }
inline float from_half(uint16_t bits) { return _cvtsh_ss(bits); }

/// Rounded to nearest even; subnormal numbers become zero, and a NaN a quiet one.
inline uint16_t to_bfloat16(float value) {
  uint32_t bits;
  value = flushed(value);
  std::memcpy(&bits, &value, sizeof bits);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// sum + a * b in one rounding, subnormal numbers read and written as zero. MXCSR is not asked.
inline float add_product(float sum, float a, float b) {
  return flushed(std::fma(flushed(a), flushed(b), flushed(sum)));
}

template <typename To, typename From>
To as(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

struct Floats {
  float lane[16];
};
struct Shorts {
  uint16_t lane[32];
};
struct HalfShorts {
  uint16_t lane[16];
};

inline __m512 dpbf16_ps(__m512 sums, __m512bh a, __m512bh b) {
  Floats out = as<Floats>(sums);
  const Shorts left = as<Shorts>(a), right = as<Shorts>(b);
  for (int i = 0; i < 16; ++i)
    for (int k : {2 * i + 1, 2 * i})
      out.lane[i] =
          add_product(out.lane[i], from_bfloat16(left.lane[k]), from_bfloat16(right.lane[k]));
  return as<__m512>(out);
}

inline __m256bh cvtneps_pbh(__m512 value) {
  const Floats from = as<Floats>(value);
  HalfShorts to;
  for (int i = 0; i < 16; ++i) to.lane[i] = to_bfloat16(from.lane[i]);
  return as<__m256bh>(to);
}

inline __m128bh cvtneps_pbh(__m256 value) {
  float from[8];
  uint16_t to[8];
  std::memcpy(from, &value, sizeof from);
  for (int i = 0; i < 8; ++i) to[i] = to_bfloat16(from[i]);
  return as<__m128bh>(to);
}

inline __m512bh cvtne2ps_pbh(__m512 upper, __m512 lower) {
  const Floats high = as<Floats>(upper), low = as<Floats>(lower);
  Shorts to;
  for (int i = 0; i < 16; ++i) {
    to.lane[i] = to_bfloat16(low.lane[i]);
    to.lane[16 + i] = to_bfloat16(high.lane[i]);
  }
  return as<__m512bh>(to);
}

inline __m512i permutexvar_epi16(__m512i order, __m512i value) {
  const Shorts from = as<Shorts>(value), index = as<Shorts>(order);
  Shorts to;
  for (int i = 0; i < 32; ++i) to.lane[i] = from.lane[index.lane[i] & 31];
  return as<__m512i>(to);
}

inline __m512 maskz_cvtph_ps(__mmask16 mask, __m256i value) {
  const HalfShorts from = as<HalfShorts>(value);
  Floats to;
  for (int i = 0; i < 16; ++i) to.lane[i] = mask >> i & 1 ? from_half(from.lane[i]) : 0.0f;
  return as<__m512>(to);
}

inline __m256i maskz_cvtps_ph(__mmask16 mask, __m512 value) {
  const Floats from = as<Floats>(value);
  HalfShorts to;
  for (int i = 0; i < 16; ++i)
    to.lane[i] = mask >> i & 1 ? _cvtss_sh(from.lane[i], _MM_FROUND_TO_NEAREST_INT) : 0;
  return as<__m256i>(to);
}

/// The lanes that `mask` has, widened from `From` to `To`; zero in the others.
template <typename To, typename From>
__m512i maskz_widen(unsigned mask, __m256i value) {
  constexpr int lanes = sizeof(__m512i) / sizeof(To);
  From from[lanes];
  To to[lanes];
  static_assert(sizeof from == sizeof value && sizeof to == sizeof(__m512i));
  std::memcpy(from, &value, sizeof from);
  for (int i = 0; i < lanes; ++i) to[i] = mask >> i & 1 ? from[i] : 0;
  return as<__m512i>(to);
}

/// One thread's eight tiles.
struct Tiles {
  static constexpr int kTiles = 8, kRows = 16, kBytes = 64;
  bool configured = false;
  int rows[kTiles] = {}, row_bytes[kTiles] = {};
  alignas(kBytes) uint8_t data[kTiles][kRows][kBytes] = {};

  [[noreturn]] static void fault(const char* what) {
    std::fprintf(stderr, "AMX: %s\n", what);
    std::abort();
  }

  void use(int tile) const {
    if (!configured) fault("a tile is used before it is configured");
    if (tile < 0 || tile >= kTiles || rows[tile] == 0) fault("a tile is used that has no rows");
  }

  void configure(const void* from) {
    // A kernel that does not release its tiles makes every switch between threads slower.
    if (configured) fault("tiles are configured again before they are released");
    struct {
      uint8_t palette, start_row, reserved[14];
      uint16_t row_bytes[16];
      uint8_t rows[16];
    } shapes;
    static_assert(sizeof shapes == 64);
    std::memcpy(&shapes, from, sizeof shapes);
    if (shapes.palette != 1 || shapes.start_row != 0) fault("not palette 1, or a start row");
    for (uint8_t byte : shapes.reserved)
      if (byte) fault("a reserved byte of the configuration is not zero");
    for (int tile = 0; tile < 16; ++tile) {
      const int most = tile < kTiles ? kRows : 0, bytes = shapes.row_bytes[tile];
      if (shapes.rows[tile] > most || bytes > 4 * most || bytes % 4) fault("a tile out of range");
      if ((shapes.rows[tile] == 0) != (bytes == 0)) fault("a tile with rows or columns only");
      if (tile < kTiles) rows[tile] = shapes.rows[tile], row_bytes[tile] = bytes;
    }
    configured = true;
    std::memset(data, 0, sizeof data);
  }

  void release() { *this = Tiles(); }

  void clear(int tile) {
    use(tile);
    std::memset(data[tile], 0, sizeof data[tile]);
  }

  void load(int tile, const void* from, int64_t stride) {
    clear(tile);
    for (int i = 0; i < rows[tile]; ++i)
      std::memcpy(data[tile][i], static_cast<const char*>(from) + i * stride,
                  static_cast<size_t>(row_bytes[tile]));
  }

  void store(int tile, void* to, int64_t stride) const {
    use(tile);
    for (int i = 0; i < rows[tile]; ++i)
      std::memcpy(static_cast<char*>(to) + i * stride, data[tile][i],
                  static_cast<size_t>(row_bytes[tile]));
  }

  template <typename T>
  T at(int tile, int row, int i) const {
    T value;
    std::memcpy(&value, &data[tile][row][i * static_cast<int>(sizeof(T))], sizeof value);
    return value;
  }

  /// C += A B: for each sum, the lower values of all pairs, then the upper ones, then both.
  template <typename Convert>
  void add_products(int c, int a, int b, const Convert& convert) {
    use(c), use(a), use(b);
    if (c == a || c == b || a == b) fault("one tile is used twice");
    if (rows[a] != rows[c] || row_bytes[b] != row_bytes[c] || row_bytes[a] != 4 * rows[b])
      fault("the shapes of tiles do not fit");
    constexpr int lanes = kBytes / 4;
    float left[kRows][2][lanes], right[kRows][2][lanes];
    for (int i = 0; i < kRows; ++i)
      for (int k = 0; k < lanes; ++k)
        for (int half = 0; half < 2; ++half) {
          left[i][half][k] = convert(at<uint16_t>(a, i, 2 * k + half));
          right[i][half][k] = convert(at<uint16_t>(b, i, 2 * k + half));
        }
    for (int m = 0; m < rows[c]; ++m) {
      float sums[2][lanes] = {}, total[lanes];
      for (int k = 0; k < rows[b]; ++k)
        for (int half = 0; half < 2; ++half)
          for (int n = 0; n < lanes; ++n)
            sums[half][n] = add_product(sums[half][n], left[m][half][k], right[k][half][n]);
      std::memcpy(total, data[c][m], sizeof total);
      for (int n = 0; n < lanes; ++n)
        total[n] = flushed(flushed(total[n]) + flushed(sums[0][n] + sums[1][n]));
      std::memcpy(data[c][m], total, static_cast<size_t>(row_bytes[c]));
    }
  }
};

inline Tiles& tiles() {
  static thread_local Tiles mine;
  return mine;
}

}  // namespace stand_in

#define DCNBUILD_STAND_IN
#undef _mm512_dpbf16_ps
#undef _mm256_cvtneps_pbh
#undef _mm512_cvtneps_pbh
#undef _mm512_cvtne2ps_pbh
#undef _mm512_permutexvar_epi16
#undef _mm512_maskz_cvtph_ps
#undef _mm512_maskz_cvtps_ph
#undef _mm512_maskz_cvtepu16_epi32
#undef _mm512_maskz_cvtepi32_epi64
#define _mm512_maskz_cvtepu16_epi32(mask, value) \
  stand_in::maskz_widen<uint32_t, uint16_t>(mask, value)
#define _mm512_maskz_cvtepi32_epi64(mask, value) \
  stand_in::maskz_widen<int64_t, int32_t>(mask, value)
#define _mm512_dpbf16_ps(sums, a, b) stand_in::dpbf16_ps(sums, a, b)
#define _mm256_cvtneps_pbh(value) stand_in::cvtneps_pbh(value)
#define _mm512_cvtneps_pbh(value) stand_in::cvtneps_pbh(value)
#define _mm512_cvtne2ps_pbh(upper, lower) stand_in::cvtne2ps_pbh(upper, lower)
#define _mm512_permutexvar_epi16(order, value) stand_in::permutexvar_epi16(order, value)
#define _mm512_maskz_cvtph_ps(mask, value) stand_in::maskz_cvtph_ps(mask, value)
#define _mm512_maskz_cvtps_ph(mask, value, rounding) stand_in::maskz_cvtps_ph(mask, value)
