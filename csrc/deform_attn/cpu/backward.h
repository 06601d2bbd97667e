// The backward pass. Threads own heads of images, and where there are fewer of those than threads,
// slices of a head's channels: what they add to the value's gradient is theirs alone, in the order
// of the queries, whatever the number of threads. Gradients of locations and weights come from the
// same sweep, or where channels are cut, from a second one with queries dealt out.
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

/// What a thread owns of the value's gradient.
struct HeadSlice {
  int64_t n, head, heads, channel, channels;
  /// In a row of the gradient: a run of heads is not cut into channels.
  int64_t width() const { return heads * channels; }
};

/// One thread's share of a backward pass.
template <typename T>
class AttendBackwardWorker {
 public:
  AttendBackwardWorker(const AttnCall<T>& call, const Strided<T>& grad_output,
                       const AttnGradientTensors<T>& grads)
      : call_(call),
        grad_output_(grad_output),
        grads_(grads),
        output_in_place_(grad_output.size == sizeof(T) &&
                         (call.g.channels == 1 || grad_output.w == 1)),
        points_(call.g, call.t),
        gradients_(output_in_place_ ? 0 : rows() * call.g.channels),
        grad_locations_(in_place(grads.locations) ? 0 : 2 * rows() * call.g.samples()),
        grad_weights_(in_place(grads.weights) ? 0 : rows() * call.g.samples()),
        sink_(call.g.channels, T(0)),
        backward_(kernel_for(kernels<T>().attend_backward, call.values.dtype())) {}

  /// Adds a block's part to a slice of the value's gradient, of which `grad_value` are the pixels,
  /// if any; writes the gradients of locations and weights if `points`.
  void run(const QueryBlock& block, const HeadSlice& slice, LevelPixels grad_value, bool points) {
    const AttnGeometry& g = call_.g;
    points_.read(block);
    AttendBackward<T> b{};
    b.forward = {block.queries,
                 block.heads,
                 slice.channels,
                 call_.levels.view(),
                 points_.y(),
                 points_.x(),
                 points_.weight(),
                 points_.shift_y(),
                 points_.shift_x(),
                 call_.values.pixels(block.n, block.head, slice.channel),
                 call_.values.channel(),
                 nullptr,
                 0,
                 0};
    load_grad_output(block, slice, b.forward);
    grad_value.outside = sink_.data();
    b.grad_value = grad_value;
    const bool locations = points && grads_.locations, weights = points && grads_.weights;
    b.query = block.heads * g.samples();
    if (locations) b.grad_locations = place(grads_.locations, grad_locations_, block, 2, b.query);
    if (weights) b.grad_weights = place(grads_.weights, grad_weights_, block, 1, b.query);
    backward_(b);
    if (locations) store(grads_.locations, grad_locations_, block, 2);
    if (weights) store(grads_.weights, grad_weights_, block, 1);
  }

 private:
  int64_t rows() const { return queries_at_once(call_.g) * call_.g.heads; }
  /// Points' gradients are contiguous: the kernels can write to them if the dtype is theirs.
  static bool in_place(const Strided<T>& tensor) { return !tensor || tensor.size == sizeof(T); }

  void load_grad_output(const QueryBlock& block, const HeadSlice& slice, Attend<T>& a) {
    char* from = grad_output_.at(block.n, block.query, block.head, slice.channel);
    if (output_in_place_) {
      a.output = reinterpret_cast<T*>(from);
      a.output_query = grad_output_.c, a.output_head = grad_output_.h;
      return;
    }
    a.output = gradients_.data();
    a.output_query = block.heads * slice.channels, a.output_head = slice.channels;
    for (int64_t head = 0; head < block.heads; ++head)
      grad_output_.load(block.queries, slice.channels,
                        grad_output_.at(block.n, block.query, block.head + head, slice.channel),
                        grad_output_.c, grad_output_.w, a.output + head * slice.channels,
                        a.output_query, 1);
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
  const Strided<T>& grad_output_;  // [n][query][head][channel]
  const AttnGradientTensors<T>& grads_;
  const bool output_in_place_;
  const Points<T> points_;
  const Buffer<T> gradients_, grad_locations_, grad_weights_;
  const Buffer<T> sink_;  // a pixel for what would be added outside
  void (*backward_)(const AttendBackward<T>&);
};

/// One worker's slice of the value's gradient while it is summed: the tensor's own memory, or for
/// half types memory in float.
template <typename T>
class ValueGradient {
 public:
  ValueGradient(const AttnCall<T>& call, const Strided<T>& grad, int64_t widest)
      : g_(call.g),
        grad_(grad),
        in_place_(grad.size == sizeof(T)),
        row_(in_place_ ? g_.heads * g_.channels : widest),
        rows_(call.levels.rows(row_ * static_cast<int64_t>(sizeof(T)))),
        sums_(in_place_ ? 0 : g_.pixels * row_) {}

  /// Makes a slice zero.
  LevelPixels begin(const HeadSlice& slice) const {
    T* first = this->first(slice);
    for (int64_t i = 0; i < g_.pixels; ++i) std::fill_n(first + i * row_, slice.width(), T(0));
    const int64_t size = sizeof(T), head = in_place_ ? g_.channels : slice.channels;
    return {first, row_ * size, head * size, rows_.data(), nullptr};
  }

  void end(const HeadSlice& slice) const {
    if (in_place_) return;
    for (int64_t pixel = 0; pixel < g_.pixels; ++pixel)
      grad_.store(slice.heads, slice.channels, first(slice) + pixel * row_, slice.channels, 1,
                  at(slice, pixel), grad_.h, 1);
  }

 private:
  char* at(const HeadSlice& slice, int64_t pixel) const {
    return grad_.at(slice.n, pixel, slice.head, slice.channel);
  }
  T* first(const HeadSlice& slice) const {
    return in_place_ ? reinterpret_cast<T*>(at(slice, 0)) : sums_.data();
  }

  const AttnGeometry& g_;
  const Strided<T>& grad_;  // contiguous
  const bool in_place_;
  const int64_t row_;
  const Buffer<int64_t> rows_;
  const Buffer<T> sums_;
};

/// How one image's gradient is cut: into runs of heads, and a head's channels into slices.
struct Cuts {
  int64_t heads, channels;
  int64_t count() const { return heads * channels; }

  /// A run of heads is no wider than `widest`, or one head.
  Cuts(const AttnGeometry& g, int64_t images, int64_t workers, int64_t lanes, int64_t widest)
      : heads(std::min(g.heads, std::max(images % workers == 0 ? 1 : workers,
                                         ceil_div(g.heads * g.channels, widest)))),
        channels(std::clamp<int64_t>(workers / (images * heads), 1, ceil_div(g.channels, lanes))) {}

  int64_t widest(const AttnGeometry& g) const { return ceil_div(g.heads, heads) * g.channels; }

  HeadSlice slice(const AttnGeometry& g, int64_t n, int64_t i, int64_t lanes) const {
    const int64_t run = i / channels, part = i % channels;
    const int64_t head = run * g.heads / heads, next = (run + 1) * g.heads / heads;
    const int64_t units = ceil_div(g.channels, lanes), begin = part * units / channels * lanes,
                  end = std::min((part + 1) * units / channels * lanes, g.channels);
    return {n, head, next - head, begin, end - begin};
  }
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

/// Bytes of one worker's sums, one head's at least.
constexpr int64_t kSumsBytes = 4 << 20;

template <typename T>
void attend_backward(const AttnGeometry& g, const AttnOperands& t, const Tensor& grad_output,
                     const AttnGradients& gradients) {
  AttnCall<T> call(g, t);
  Strided<T> upstream = by_head<T>(grad_output, g);
  AttnGradientTensors<T> grads = gradient_tensors<T>(g, gradients);
  // Dense channels of bfloat16 are read in pairs: what meets them is in the same order.
  if (call.values.dtype() == ScalarType::BFloat16 && call.values.channel() == 1)
    upstream.load = kernels<T>().split_bfloat16, grads.value.store = kernels<T>().join_bfloat16;
  const int64_t lanes = kernels<T>().lanes, workers = call.workers, blocks = call.query_blocks();
  const int64_t at_once = call.values.copied() ? call.images_at_once() : g.batch;
  const int64_t column = g.pixels * static_cast<int64_t>(sizeof(T));
  // Sums of half types' gradients stay in L2 and L3, as far as heads allow.
  const int64_t widest = grads.value.size == sizeof(T)
                             ? g.heads * g.channels
                             : std::max<int64_t>(1, kSumsBytes / std::max<int64_t>(1, column));
  for (int64_t first = 0; first < g.batch; first += at_once) {
    const int64_t images = std::min(at_once, g.batch - first);
    call.values.load(first, images, workers);
    const Cuts cuts(g, images, workers, lanes, widest);
    const bool one_sweep = grads.value && cuts.channels == 1;
    if (grads.value) {
      Claims slices(images * cuts.count(), workers);
      on_workers(workers, [&](int64_t) {
        AttendBackwardWorker<T> worker(call, upstream, grads);
        const ValueGradient<T> grad_value(call, grads.value, cuts.widest(g));
        slices.work([&](int64_t i) {
          const HeadSlice slice = cuts.slice(g, first + i / cuts.count(), i % cuts.count(), lanes);
          const LevelPixels pixels = grad_value.begin(slice);
          for (int64_t k = 0; k < blocks; ++k)
            worker.run(call.block(slice.n, k, slice.head, slice.heads), slice, pixels,
                       one_sweep && grads.points());
          grad_value.end(slice);
        });
      });
    }
    if (one_sweep || !grads.points()) continue;
    Claims items(images * blocks, workers);
    on_workers(workers, [&](int64_t) {
      AttendBackwardWorker<T> worker(call, upstream, grads);
      items.work([&](int64_t i) {
        const int64_t n = first + i / blocks;
        worker.run(call.block(n, i % blocks, 0, g.heads), {n, 0, g.heads, 0, g.channels}, {}, true);
      });
    });
  }
}

}  // namespace dcnbuild::cpu
