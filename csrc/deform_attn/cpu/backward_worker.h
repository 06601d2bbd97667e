// One thread's share of a backward pass. It serves both ways to sum the value's gradient.
#pragma once

#include "deform_attn/cpu/call.h"

namespace dcnbuild::cpu {

/// The gradients that were asked for: any may be null.
template <typename T>
struct AttnGradientTensors {
  Strided<T> value;      // [n][pixel][head][channel]
  Strided<T> locations;  // [n][query][head][x and y of all samples]
  Strided<T> weights;    // [n][query][head][sample]
  bool points() const { return locations || weights; }
};

template <typename T>
AttnGradientTensors<T> gradient_tensors(const AttnGeometry& g, const AttnGradients& grads) {
  AttnGradientTensors<T> tensors;
  if (grads.value) tensors.value = Strided<T>(*grads.value);
  if (grads.locations)
    tensors.locations =
        Strided<T>(viewed(*grads.locations, {g.batch, g.queries, g.heads, 2 * g.samples()}));
  if (grads.weights)
    tensors.weights =
        Strided<T>(viewed(*grads.weights, {g.batch, g.queries, g.heads, g.samples()}));
  return tensors;
}

/// The output's gradient as kernels read it, channels side by side.
template <typename T>
struct Upstream {
  T* data;
  int64_t query, head;  // elements from one to the next
};

/// Where the output's gradient can be read as it lies.
template <typename T>
bool in_place(const AttnGeometry& g, const Strided<T>& grad_output) {
  return grad_output.size == sizeof(T) && (g.channels == 1 || grad_output.w == 1);
}

/// What all threads read, and the gradients that they write.
template <typename T>
struct BackwardCall {
  const AttnCall<T>& forward;
  const Strided<T>& grad_output;  // [n][query][head][channel]
  const AttnGradientTensors<T>& grads;
  bool split;  // a head's channels are in the order of `split_bfloat16`, here and in grads.value
};

/// What one call of the kernel does with the value and its gradient.
template <typename T>
struct ValueShare {
  LevelPixels value;
  int64_t channel;         // elements from one channel of a value's pixel to the next
  LevelPixels grad_value;  // memory to add to, or with `corners`, numbers of pixels
  CornerList<T> corners;
};

template <typename T>
class AttendBackwardWorker {
 public:
  /// For blocks of at most so many heads.
  AttendBackwardWorker(const BackwardCall<T>& call, int64_t heads)
      : call_(call.forward),
        grad_output_(call.grad_output),
        grads_(call.grads),
        output_in_place_(in_place(call_.g, grad_output_)),
        points_(call_.g, call_.t, heads),
        rows_(queries_at_once(call_.g, heads) * heads),
        gradients_(output_in_place_ ? 0 : rows_ * call_.g.channels),
        grad_locations_(in_place(grads_.locations) ? 0 : 2 * rows_ * call_.g.samples()),
        grad_weights_(in_place(grads_.weights) ? 0 : rows_ * call_.g.samples()),
        sink_(call_.g.channels, T(0)),
        backward_(kernel_for(kernels<T>().attend_backward, call_.values.dtype())) {}

  /// The output's gradient for a block and a slice's channels, in memory of this worker if it has
  /// to be converted.
  Upstream<T> upstream(const QueryBlock& block, const HeadSlice& slice) const {
    return upstream(block, slice, gradients_.data());
  }

  /// The same in memory of the caller's.
  Upstream<T> upstream(const QueryBlock& block, const HeadSlice& slice, T* memory) const {
    char* from = grad_output_.at(block.n, block.query, block.head, slice.channel);
    if (output_in_place_) return {reinterpret_cast<T*>(from), grad_output_.c, grad_output_.h};
    const Upstream<T> to{memory, block.heads * slice.channels, slice.channels};
    for (int64_t head = 0; head < block.heads; ++head)
      grad_output_.load(block.queries, slice.channels,
                        grad_output_.at(block.n, block.query, block.head + head, slice.channel),
                        grad_output_.c, grad_output_.w, to.data + head * to.head, to.query, 1);
    return to;
  }

  /// Has a block's rows on their way from memory, where the hardware would not guess them: those of
  /// some heads lie far apart.
  void fetch(const QueryBlock& block, const HeadSlice& slice) const {
    const int64_t size = sizeof(T), samples = block.heads * call_.g.samples();
    points_.fetch(block);
    if (output_in_place_)
      fetch_rows<0>(grad_output_.at(block.n, block.query, block.head, slice.channel), block.queries,
                    grad_output_.c * size, slice.width() * size);
    if (grads_.locations && in_place(grads_.locations))
      fetch_rows<1>(grads_.locations.at(block.n, block.query, block.head, 0), block.queries,
                    grads_.locations.c * size, 2 * samples * size);
    if (grads_.weights && in_place(grads_.weights))
      fetch_rows<1>(grads_.weights.at(block.n, block.query, block.head, 0), block.queries,
                    grads_.weights.c * size, samples * size);
  }

  /// Adds a block's part to the value's gradient or lists it; writes the gradients of locations and
  /// weights if `points`.
  void run(const QueryBlock& block, int64_t channels, const Upstream<T>& upstream,
           const ValueShare<T>& share, bool points) {
    const AttnGeometry& g = call_.g;
    points_.read(block);
    AttendBackward<T> b{};
    b.forward = {block.queries,     block.heads,  channels,         call_.levels.view(),
                 points_.y(),       points_.x(),  points_.weight(), points_.shift_y(),
                 points_.shift_x(), share.value,  share.channel,    upstream.data,
                 upstream.query,    upstream.head};
    b.grad_value = share.grad_value, b.corners = share.corners;
    if (!share.corners.first) b.grad_value.outside = sink_.data();
    const bool locations = points && grads_.locations, weights = points && grads_.weights;
    b.query = block.heads * g.samples();
    if (locations) b.grad_locations = place(grads_.locations, grad_locations_, block, 2, b.query);
    if (weights) b.grad_weights = place(grads_.weights, grad_weights_, block, 1, b.query);
    backward_(b);
    if (locations) store(grads_.locations, grad_locations_, block, 2);
    if (weights) store(grads_.weights, grad_weights_, block, 1);
  }

 private:
  /// Points' gradients are contiguous: the kernels can write to them if the dtype is theirs.
  static bool in_place(const Strided<T>& tensor) { return !tensor || tensor.size == sizeof(T); }
  static bool in_place(const AttnGeometry& g, const Strided<T>& grad_output) {
    return cpu::in_place(g, grad_output);
  }

  /// Where the kernel writes a block's gradients, `each` numbers for a sample.
  T* place(const Strided<T>& tensor, const Buffer<T>& buffer, const QueryBlock& block, int64_t each,
           int64_t& query) {
    if (!in_place(tensor)) return buffer.data();
    query = tensor.c / each;
    return reinterpret_cast<T*>(tensor.at(block.n, block.query, block.head, 0));
  }

  void store(const Strided<T>& tensor, const Buffer<T>& buffer, const QueryBlock& block,
             int64_t each) {
    if (in_place(tensor)) return;
    const int64_t row = block.heads * call_.g.samples() * each;
    tensor.store(block.queries, row, buffer.data(), row, 1,
                 tensor.at(block.n, block.query, block.head, 0), tensor.c, 1);
  }

  const AttnCall<T>& call_;
  const Strided<T>& grad_output_;
  const AttnGradientTensors<T>& grads_;
  const bool output_in_place_;
  const Points<T> points_;
  const int64_t rows_;
  const Buffer<T> gradients_, grad_locations_, grad_weights_;
  const Buffer<T> sink_;  // a pixel for what would be added outside
  void (*backward_)(const AttendBackward<T>&);
};

}  // namespace dcnbuild::cpu
