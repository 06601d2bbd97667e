// Vectors of one instruction set, by the compilers' vector extensions, and operations on them.
// Included once for each instruction set, inside its namespace: see instruction_set.h.

#define DCNBUILD_INLINE inline __attribute__((always_inline))
#define DCNBUILD_NOINLINE __attribute__((noinline))

template <typename T, int bytes = DCNBUILD_VECTOR_BYTES>
struct VectorOf {
  typedef T type __attribute__((vector_size(bytes)));
  typedef T unaligned __attribute__((vector_size(bytes), aligned(alignof(T)), may_alias));
  static constexpr int lanes = bytes / sizeof(T);
};

template <typename T, int bytes = DCNBUILD_VECTOR_BYTES>
using Vector = typename VectorOf<T, bytes>::type;

template <typename T, int bytes = DCNBUILD_VECTOR_BYTES>
constexpr int kLanes = VectorOf<T, bytes>::lanes;

template <int bytes = DCNBUILD_VECTOR_BYTES, typename T>
DCNBUILD_INLINE Vector<T, bytes> load(const T* from) {
  return *reinterpret_cast<const typename VectorOf<T, bytes>::unaligned*>(from);
}

template <int bytes = DCNBUILD_VECTOR_BYTES, typename T>
DCNBUILD_INLINE void store(T* to, const Vector<T, bytes>& v) {
  *reinterpret_cast<typename VectorOf<T, bytes>::unaligned*>(to) = v;
}

template <typename To, typename From>
DCNBUILD_INLINE To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  __builtin_memcpy(&to, &from, sizeof(to));
  return to;
}

/// A vector's lanes, with twice the bytes each, of the same signedness.
template <typename To, typename From>
DCNBUILD_INLINE To widened(From from) {
#ifdef DCNBUILD_F16C
  // gcc 12 widens one half at a time: four instructions for one.
  constexpr bool words = __is_same(To, Vector<uint32_t, sizeof(To)>);
  static_assert(words || __is_same(To, Vector<int64_t, sizeof(To)>));
  if constexpr (sizeof(To) == 64) {
    const auto bits = bits_as<__m256i>(from);
    // For the unmasked intrinsics, gcc warns of an undefined register.
    return bits_as<To>(words ? _mm512_maskz_cvtepu16_epi32(0xffff, bits)
                             : _mm512_maskz_cvtepi32_epi64(0xff, bits));
  } else if constexpr (sizeof(To) == 32) {
    const auto bits = bits_as<__m128i>(from);
    return bits_as<To>(words ? _mm256_cvtepu16_epi32(bits) : _mm256_cvtepi32_epi64(bits));
  } else if constexpr (words) {
    return bits_as<To>(_mm_cvtepu16_epi32(_mm_cvtsi64_si128(bits_as<int64_t>(from))));
  }
#endif
  return __builtin_convertvector(from, To);
}

/// Lanes of two vectors of 16 bytes, those of the second counted on from the first's.
#if defined(__clang__)
#define DCNBUILD_SHUFFLE4(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#define DCNBUILD_SHUFFLE2(a, b, i, j) __builtin_shufflevector(a, b, i, j)
#define DCNBUILD_SHUFFLE8(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define DCNBUILD_SHUFFLE4(a, b, i, j, k, l) __builtin_shuffle(a, b, Vector<int32_t, 16>{i, j, k, l})
#define DCNBUILD_SHUFFLE2(a, b, i, j) __builtin_shuffle(a, b, Vector<int64_t, 16>{i, j})
#define DCNBUILD_SHUFFLE8(a, b, ...) __builtin_shuffle(a, b, Vector<int16_t, 16>{__VA_ARGS__})
#endif

/// `yes` in the lanes where the condition holds, else `no`; all lanes have the same size.
template <typename Condition, typename V>
DCNBUILD_INLINE V choose(Condition condition, V yes, V no) {
  return bits_as<V>((condition & bits_as<Condition>(yes)) | (~condition & bits_as<Condition>(no)));
}

/// Whether a comparison holds in every lane.
template <typename Condition>
DCNBUILD_INLINE bool all_lanes(Condition condition) {
#ifdef DCNBUILD_F16C
  // Through memory, it would store two halves, read them as one, and wait for the store.
  if constexpr (sizeof(Condition) == 32) {
    const __m256i bits = bits_as<__m256i>(condition);
    return _mm256_testc_si256(bits, _mm256_cmpeq_epi32(bits, bits));
  }
#endif
  const auto words = bits_as<Vector<int64_t, sizeof(Condition)>>(condition);
  int64_t all = words[0];
  for (int i = 1; i < kLanes<int64_t, sizeof(Condition)>; ++i) all &= words[i];
  return all == -1;
}

/// The sum of a vector's lanes; adds its halves until it is 16 bytes wide.
template <typename T, int bytes>
DCNBUILD_INLINE T sum_of_lanes(Vector<T, bytes> v) {
  T lanes[kLanes<T, bytes>];
  store<bytes>(lanes, v);
  if constexpr (bytes > 16) {
    return sum_of_lanes<T, bytes / 2>(load<bytes / 2>(lanes) +
                                      load<bytes / 2>(lanes + kLanes<T, bytes> / 2));
  } else if constexpr (sizeof(T) == 4) {
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
  } else {
    return lanes[0] + lanes[1];
  }
}

/// Returns the same value, but hides it from the compiler, so that it does not fuse the product
/// with the following addition.
template <typename V>
DCNBUILD_INLINE V rounded(V product) {
#if defined(__x86_64__) && !defined(DCNBUILD_STAND_IN)  // which has narrower registers
  asm("" : "+x"(product));
#elif defined(__aarch64__)
  asm("" : "+w"(product));
#else
  asm("" : "+m"(product));
#endif
  return product;
}
