// The value's gradient pixel by pixel, from lists of corners, with vector lanes over channels.
// Included inside an instruction set's namespace.

/// sums[c] = the sum of weight * upstream over a list, for as many channels as fill `vectors`
/// vectors of `bytes`, then fewer; returns the first channel left.
template <int bytes, int vectors, typename T>
DCNBUILD_INLINE int64_t sum_list(const Touch<T>* begin, const Touch<T>* end, const T* upstream,
                                 int64_t row, int64_t c, int64_t count, T* sums) {
  using V = Vector<T, bytes>;
  constexpr int lanes = kLanes<T, bytes>;
  for (; c + vectors * lanes <= count; c += vectors * lanes) {
    V sum[vectors] = {};
    for (const Touch<T>* touch = begin; touch != end; ++touch) {
      const T* from = upstream + touch->query * row + c;
      for (int i = 0; i < vectors; ++i) sum[i] += touch->weight * load<bytes>(from + i * lanes);
    }
    for (int i = 0; i < vectors; ++i) store<bytes>(sums + c + i * lanes, sum[i]);
  }
  if constexpr (vectors > 1) {
    c = sum_list<bytes, vectors / 2>(begin, end, upstream, row, c, count, sums);
  } else if constexpr (bytes > 16) {
    c = sum_list<bytes / 2, 1>(begin, end, upstream, row, c, count, sums);
  }
  return c;
}

template <typename T>
void sum_corners(const SumCorners<T>& s) {
  T* sums = s.sums;
  for (int64_t pixel = 0; pixel < s.pixels; ++pixel)
    for (int64_t head = 0; head < s.heads; ++head, sums += s.channels) {
      const int32_t* starts = s.starts + head * s.starts_head + pixel;
      const Touch<T>* touches = s.touches + head * s.touches_head;
      const Touch<T>*begin = touches + starts[0], *end = touches + starts[1];
      const T* upstream = s.upstream + head * s.upstream_head;
      int64_t c = sum_list<DCNBUILD_VECTOR_BYTES, 4>(begin, end, upstream, s.upstream_query, 0,
                                                     s.channels, sums);
      for (; c < s.channels; ++c) {
        T sum = 0;
        for (const Touch<T>* touch = begin; touch != end; ++touch)
          sum += touch->weight * upstream[touch->query * s.upstream_query + c];
        sums[c] = sum;
      }
    }
}
