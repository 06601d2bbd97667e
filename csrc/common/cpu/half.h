// Converts float16 and bfloat16, as bits, to and from float, four at a time, rounding to nearest
// even. Included inside an instruction set's namespace.

struct HalfBits {
  uint16_t bits;
};
struct BFloat16Bits {
  uint16_t bits;
};

using Floats = Vector<float, 16>;
using Words = Vector<uint32_t, 16>;
using Shorts = Vector<uint16_t, 8>;

/// A vector of four copies of the number with these bits.
DCNBUILD_INLINE Floats floats_of(uint32_t bits) {
  return bits_as<Floats>(Words{bits, bits, bits, bits});
}

/// The same number of 16-bit numbers as a vector of `bytes` has words.
template <int bytes>
DCNBUILD_INLINE Vector<uint32_t, bytes> load_words(const uint16_t* from) {
  return widened<Vector<uint32_t, bytes>>(
      bits_as<Vector<uint16_t, bytes / 2>>(load<bytes / 2>(from)));
}

DCNBUILD_INLINE Floats load_word(const BFloat16Bits* from) {
  return bits_as<Floats>(load_words<16>(&from->bits) << 16);
}

/// The bits of floats whose upper halves are the nearest bfloat16.
template <typename V>
DCNBUILD_INLINE auto bfloat16_bits(V value) {
  using W = Vector<uint32_t, sizeof(V)>;
#ifdef DCNBUILD_NEON_BF16
  return bits_as<W>(vshll_n_u16(vreinterpret_u16_bf16(vcvt_bf16_f32(value)), 16));
#endif
  const W bits = bits_as<W>(value);
  return choose(value != value, W{} + 0x7fc00000u, bits + 0x7fffu + ((bits >> 16) & 1u));
}

DCNBUILD_INLINE void store_word(BFloat16Bits* to, Floats value) {
  store<8>(&to->bits, __builtin_convertvector(bfloat16_bits(value) >> 16, Shorts));
}

#ifdef DCNBUILD_F16C
DCNBUILD_INLINE Floats load_word(const HalfBits* from) {
  return _mm_cvtph_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
}

DCNBUILD_INLINE void store_word(HalfBits* to, Floats value) {
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
}
#elif defined(DCNBUILD_NEON)
DCNBUILD_INLINE Floats load_word(const HalfBits* from) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&from->bits)));
}

DCNBUILD_INLINE void store_word(HalfBits* to, Floats value) {
  vst1_u16(&to->bits, vreinterpret_u16_f16(vcvt_f16_f32(value)));
}
#else
DCNBUILD_INLINE Floats load_word(const HalfBits* from) {
  const Words bits = load_words<16>(&from->bits), magnitude = (bits & 0x7fffu) << 13;
  // 2^112 moves the exponent from float16's bias to float32's, and makes subnormal numbers normal.
  const Words scaled = bits_as<Words>(bits_as<Floats>(magnitude) * floats_of(0x77800000u));
  const Words special = bits_as<Words>(magnitude >= 0x0f800000u) & 0x7f800000u;  // infinity or NaN
  return bits_as<Floats>(scaled | special | ((bits & 0x8000u) << 16));
}

DCNBUILD_INLINE void store_word(HalfBits* to, Floats value) {
  const Words bits = bits_as<Words>(value), magnitude = bits & 0x7fffffffu;
  const Words normal = (magnitude - (112u << 23) + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
  // Added to 0.5, a number below 2^-14 loses the bits that float16's subnormals do not have.
  const Floats half = floats_of(0x3f000000u);
  const Words subnormal = bits_as<Words>(bits_as<Floats>(magnitude) + half) - bits_as<Words>(half);
  const Words finite = choose(magnitude < (113u << 23), subnormal, normal);
  const Words special = choose(magnitude > 0x7f800000u, Words{} + 0x7e00u, Words{} + 0x7c00u);
  const Words narrow = choose(magnitude < 0x477ff000u, finite, special) | ((bits >> 16) & 0x8000u);
  store<8>(&to->bits, __builtin_convertvector(narrow, Shorts));
}
#endif

/// Loads a vector from memory that holds T or a half type.
template <int bytes>
DCNBUILD_INLINE Vector<double, bytes> load_as(const double* from) {
  return load<bytes>(from);
}

template <int bytes>
DCNBUILD_INLINE Vector<float, bytes> load_as(const float* from) {
  return load<bytes>(from);
}

template <int bytes>
DCNBUILD_INLINE Vector<float, bytes> load_as(const BFloat16Bits* from) {
  return bits_as<Vector<float, bytes>>(load_words<bytes>(&from->bits) << 16);
}

template <int bytes>
DCNBUILD_INLINE Vector<float, bytes> load_as(const HalfBits* from) {
#ifdef DCNBUILD_F16C
  if constexpr (bytes == 32) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  } else if constexpr (bytes == 64) {
    // For the unmasked intrinsic, gcc warns of an undefined register.
    return _mm512_maskz_cvtph_ps(0xffff,
                                 _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
#endif
  if constexpr (bytes == 16) return load_word(from);
}

/// Two vectors of what lies side by side in memory: the first and the second half of it, or for
/// bfloat16 every other value, which one load and two steps take apart.
template <int bytes, typename Stored, typename V>
DCNBUILD_INLINE void load_two(const Stored* from, V (&two)[2]) {
  if constexpr (__is_same(Stored, BFloat16Bits)) {
    const auto pairs = bits_as<Vector<uint32_t, bytes>>(load<bytes>(&from->bits));
    two[0] = bits_as<V>(pairs << 16);
    two[1] = bits_as<V>(pairs & 0xffff0000u);
  } else {
    two[0] = load_as<bytes>(from);
    two[1] = load_as<bytes>(from + bytes / sizeof(two[0][0]));
  }
}

/// Adds two such vectors to what lies side by side.
template <int bytes, typename Stored, typename T, typename V>
DCNBUILD_INLINE void add_two(T* to, const V (&two)[2]) {
  constexpr int lanes = kLanes<T, bytes>;
  if constexpr (__is_same(Stored, BFloat16Bits)) {
    T even[lanes], odd[lanes];
    store<bytes>(even, two[0]);
    store<bytes>(odd, two[1]);
    for (int i = 0; i < lanes; i += 4) {
      const Floats a = load<16>(even + i), b = load<16>(odd + i);
      T* at = to + 2 * i;
      store<16>(at, load<16>(at) + DCNBUILD_SHUFFLE4(a, b, 0, 4, 1, 5));
      store<16>(at + 4, load<16>(at + 4) + DCNBUILD_SHUFFLE4(a, b, 2, 6, 3, 7));
    }
  } else {
    store<bytes>(to, load<bytes>(to) + two[0]);
    store<bytes>(to + lanes, load<bytes>(to + lanes) + two[1]);
  }
}

/// Stores a vector, of floats also as a half type, rounded to nearest even.
template <int bytes>
DCNBUILD_INLINE void store_as(double* to, Vector<double, bytes> value) {
  store<bytes>(to, value);
}

template <int bytes>
DCNBUILD_INLINE void store_as(float* to, Vector<float, bytes> value) {
  store<bytes>(to, value);
}

template <int bytes>
DCNBUILD_INLINE void store_as(BFloat16Bits* to, Vector<float, bytes> value) {
#ifdef DCNBUILD_AVX512BF16
  if constexpr (bytes == 64) {
    const auto narrow = bits_as<__m256i>(_mm512_cvtneps_pbh(value));
    store<32>(&to->bits, bits_as<Vector<uint16_t, 32>>(narrow));
    return;
  } else if constexpr (bytes == 32) {
    const auto narrow = bits_as<__m128i>(_mm256_cvtneps_pbh(value));
    store<16>(&to->bits, bits_as<Vector<uint16_t, 16>>(narrow));
    return;
  }
#endif
  store<bytes / 2>(
      &to->bits, __builtin_convertvector(bfloat16_bits(value) >> 16, Vector<uint16_t, bytes / 2>));
}

template <int bytes>
DCNBUILD_INLINE void store_as(HalfBits* to, Vector<float, bytes> value) {
#ifdef DCNBUILD_F16C
  if constexpr (bytes == 64) {
    const __m256i narrow = _mm512_maskz_cvtps_ph(0xffff, value, _MM_FROUND_TO_NEAREST_INT);
    return store<32>(&to->bits, bits_as<Vector<uint16_t, 32>>(narrow));
  } else if constexpr (bytes == 32) {
    const __m128i narrow = _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT);
    return store<16>(&to->bits, bits_as<Vector<uint16_t, 16>>(narrow));
  }
#endif
  if constexpr (bytes == 16) store_word(to, value);
}

/// The bits of a vector of floats as a half type, in the lower half of each lane.
template <int bytes, typename Half>
DCNBUILD_INLINE Vector<uint32_t, bytes> half_words(Vector<float, bytes> value) {
  if constexpr (__is_same(Half, BFloat16Bits)) {
    return bfloat16_bits(value) >> 16;
  } else {
    Half lanes[kLanes<float, bytes>];
    store_as<bytes>(lanes, value);
    return load_words<bytes>(&lanes[0].bits);
  }
}

/// Stores two vectors of which `load_two` made one, side by side again.
template <int bytes, typename V>
DCNBUILD_INLINE void store_two(BFloat16Bits* to, const V (&two)[2]) {
#ifdef DCNBUILD_AVX512BF16
  if constexpr (bytes == 64) {
    const auto narrow =
        bits_as<Vector<uint16_t, 64>>(_mm512_cvtne2ps_pbh(two[1], two[0]));  // even, then odd
    const auto order = bits_as<__m512i>(
        Vector<uint16_t, 64>{0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                             8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31});
    store<64>(&to->bits, bits_as<Vector<uint16_t, 64>>(
                             _mm512_permutexvar_epi16(order, bits_as<__m512i>(narrow))));
    return;
  }
#endif
  const auto even = bfloat16_bits(two[0]) >> 16, odd = bfloat16_bits(two[1]) & 0xffff0000u;
  store<bytes>(&to->bits, bits_as<Vector<uint16_t, bytes>>(even | odd));
}

template <int bytes, typename V>
DCNBUILD_INLINE void store_two(HalfBits* to, const V (&two)[2]) {
  store_as<bytes>(to, two[0]);
  store_as<bytes>(to + kLanes<float, bytes>, two[1]);
}

DCNBUILD_INLINE float value_of(float stored) { return stored; }
DCNBUILD_INLINE double value_of(double stored) { return stored; }
DCNBUILD_INLINE float value_of(BFloat16Bits stored) {
  return bits_as<float>(static_cast<uint32_t>(stored.bits) << 16);
}
DCNBUILD_INLINE float value_of(HalfBits stored) {
  HalfBits word[4] = {stored};
  return load_word(word)[0];
}
