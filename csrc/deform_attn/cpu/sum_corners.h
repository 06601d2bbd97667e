// The value's gradient pixel by pixel, from corners in the order of their pixels, with vector lanes
// over channels. Included inside an instruction set's namespace.

/// One head's corners on some pixels.
template <typename Stored, typename T>
struct CornerRuns {
  const CornerBlock<T>* corners;
  const int32_t *begin, *end;  // their numbers
  uint64_t per_query;          // 2^64 / corners of a query, rounded up
  const T* upstream;
  int64_t upstream_query;
  int32_t first;  // pixel
  Stored* sums;
  int64_t pixel;  // elements from one pixel's sums to the next

  /// Calls body(weight, upstream, where the sums so far belong, whether the pixel is that of the
  /// call before). The last call for a pixel has its whole sum.
  template <typename F>
  DCNBUILD_INLINE void each(const F& body) const {
    int32_t before = -1;
    for (const int32_t* at = begin; at != end; ++at) {
      const auto i = static_cast<uint32_t>(*at);
      const CornerBlock<T>& block = corners[i / kBlock];
      const int32_t now = block.pixel[i % kBlock];
      // i / corners of a query: exact, since i has 32 bits.
      const auto query = static_cast<int64_t>(static_cast<unsigned __int128>(per_query) * i >> 64);
      body(block.weight[i % kBlock], upstream + query * upstream_query,
           sums + (now - first) * pixel, now == before);
      before = now;
    }
  }
};

/// Stores vectors of sums; if `split`, each two of them are in the order of `load_two`.
template <int bytes, bool split, int vectors, typename Stored, typename V>
DCNBUILD_INLINE void store_sums(Stored* to, const V (&sums)[vectors]) {
  constexpr int lanes = bytes / sizeof(sums[0][0]);
  if constexpr (split) {
    for (int i = 0; i < vectors; i += 2) {
      const V two[2] = {sums[i], sums[i + 1]};
      store_two<bytes>(to + i * lanes, two);
    }
  } else {
    for (int i = 0; i < vectors; ++i) store_as<bytes>(to + i * lanes, sums[i]);
  }
}

/// Sums as many channels as fill `vectors` vectors of `bytes`, then fewer; returns the first
/// channel left. How long a pixel's run is cannot be foreseen, so nothing branches on it: sums are
/// stored after every corner, and each store but a run's last is overwritten.
template <int bytes, int vectors, bool split, typename Stored, typename T>
DCNBUILD_INLINE int64_t sum_runs(const CornerRuns<Stored, T>& runs, int64_t c, int64_t count) {
  using V = Vector<T, bytes>;
  using I = decltype(V{} == V{});
  constexpr int lanes = kLanes<T, bytes>, least = split ? 2 : 1;
  for (; c + vectors * lanes <= count; c += vectors * lanes) {
    V sums[vectors] = {};
    runs.each([&](T weight, const T* upstream, Stored* to, bool goes_on) {
      const I kept = I{} - static_cast<int32_t>(goes_on);
      for (int i = 0; i < vectors; ++i)
        sums[i] =
            bits_as<V>(bits_as<I>(sums[i]) & kept) + weight * load<bytes>(upstream + c + i * lanes);
      store_sums<bytes, split>(to + c, sums);
    });
  }
  if constexpr (vectors > least) {
    c = sum_runs<bytes, vectors / 2, split>(runs, c, count);
  } else if constexpr (bytes > 16) {
    c = sum_runs<bytes / 2, least, split>(runs, c, count);
  }
  return c;
}

template <bool split, typename Stored, typename T>
DCNBUILD_INLINE void sum_corners_as(const SumCorners<T>& s) {
  Stored* sums = static_cast<Stored*>(s.sums);
  const int64_t width = s.heads * s.channels;
  __builtin_memset(sums, 0, s.pixels * width * sizeof(Stored));  // most pixels have no corner
  for (int64_t head = 0; head < s.heads; ++head) {
    const int32_t *starts = s.starts + head * s.starts_head, *order = s.order + head * s.order_head;
    const CornerRuns<Stored, T> runs{s.corners + head * s.corners_head,
                                     order + starts[0],
                                     order + starts[s.pixels],
                                     ~uint64_t{0} / s.corners_query + 1,
                                     s.upstream + head * s.upstream_head,
                                     s.upstream_query,
                                     static_cast<int32_t>(s.first),
                                     sums + head * s.channels,
                                     width};
    int64_t c = sum_runs<DCNBUILD_VECTOR_BYTES, 4, split>(runs, 0, s.channels);
    for (; c < s.channels; ++c) {
      T sum = 0;
      runs.each([&](T weight, const T* upstream, Stored* to, bool goes_on) {
        sum = (goes_on ? sum : T(0)) + weight * upstream[c];
        store_part(to + c, load_part(&sum, 1, 1), 1);
      });
    }
  }
}

template <typename Stored, typename T>
void sum_corners(const SumCorners<T>& s) {
  if constexpr (__is_same(Stored, BFloat16Bits))
    if (s.split) return sum_corners_as<true, Stored>(s);
  sum_corners_as<false, Stored>(s);
}
