// What tests need besides the operator: how grids are run, the plan functions, and small kernels
// with the faults that the emulator must report.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "deform_attn/cuda/plan.h"
#include "deform_attn/cuda/value_scatter.cuh"
#include "deform_conv2d/cuda/column_scatter.cuh"
#include "deform_conv2d/cuda/columns.cuh"

namespace py = pybind11;
using namespace dcnbuild;
using namespace dcnbuild::cuda;

namespace {

void configure(const std::string& order, uint64_t seed, int os_threads) {
  emulator::Settings& settings = emulator::settings();
  if (order == "forward")
    settings.order = emulator::Order::forward;
  else if (order == "reversed")
    settings.order = emulator::Order::reversed;
  else if (order == "shuffled")
    settings.order = emulator::Order::shuffled;
  else
    throw py::value_error("order is " + order + ", expected forward, reversed or shuffled");
  settings.seed = seed;
  settings.os_threads = os_threads;
}

/// The blocks of each launch since the last call.
std::vector<unsigned> take_launches() {
  std::vector<unsigned> taken;
  std::swap(taken, emulator::launches());
  return taken;
}

void divergent_barrier() {
  if (threadIdx.x % 2) __syncthreads();
}
void two_barriers() {
  if (threadIdx.x % 2)
    __syncthreads();
  else
    __syncthreads();
}
void divergent_shuffle() {
  if (threadIdx.x % 2) __shfl_xor_sync(0xffffffffu, 1.0f, 1);
}
void nothing() {}

/// Sums one number of each thread: through shared memory and barriers, shuffles, and one atomic
/// addition for each warp.
void sum_kernel(const float* values, float* sums) {
  __shared__ float shared[kThreads];
  const unsigned thread = threadIdx.x;
  // What a neighbour wrote, so that a barrier that does not hold shows.
  shared[thread] = values[blockIdx.x * kThreads + thread];
  __syncthreads();
  float sum = shared[kThreads - 1 - thread];
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
  if (thread % 32 == 0) atomicAdd(sums + blockIdx.x, sum);
}

std::vector<float> block_sums(const std::vector<float>& values) {
  std::vector<float> sums(values.size() / kThreads);
  if (launch(sum_kernel, static_cast<int64_t>(sums.size()), nullptr, values.data(), sums.data()) !=
      cudaSuccess)
    throw std::runtime_error(emulator::last_error());
  return sums;
}

/// The error of a launch, or nothing.
std::string launch_error(const std::string& kernel, int64_t blocks) {
  void (*function)() = kernel == "divergent_barrier"   ? divergent_barrier
                       : kernel == "two_barriers"      ? two_barriers
                       : kernel == "divergent_shuffle" ? divergent_shuffle
                                                       : nothing;
  return launch(function, blocks, nullptr) == cudaSuccess ? "" : emulator::last_error();
}

/// A launch that did not go through launch() of launch.cuh.
std::string raw_launch_error(unsigned blocks, unsigned threads) {
  return emulator::launch(blocks, threads, nullptr, nothing) == cudaSuccess
             ? ""
             : emulator::last_error();
}

/// Memory of many gigabytes of which only what is touched exists; zeros at first.
template <typename T>
struct Sparse {
  explicit Sparse(int64_t count) : size(count * sizeof(T)) {
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("no address space for a sparse buffer");
    data = static_cast<T*>(memory);
  }
  ~Sparse() { munmap(data, size); }
  size_t size;
  T* data;
};

/// One sample with a gradient of one, at the last pixel of an image of more than 2^31 elements:
/// what the default and the deterministic route leave there, and what the column is.
std::vector<float> gradient_beyond_32_bits() {
  Geometry g{1, 4096, 1024, 1024, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1};
  const int64_t elements = g.channels * g.height * g.width;
  Sparse<float> image(elements), grad_image(elements), sorted_image(elements);
  image.data[elements - 1] = 3;
  std::vector<float> columns(g.channels), grad_columns(g.channels), dots(2);
  grad_columns.back() = 1;
  const float offset[2] = {1023, 1023};
  Chunk<float, float> chunk{
      Shape(g), image.data, elements, g.channels, {offset, 2, 1, 1, 1}, {nullptr, 0, 0, 0, 0},
      0,        1};
  const Destinations<float, float> to{columns.data(), grad_image.data, {}, {}};
  int32_t memory[4];
  const Keys keys{memory, false};
  float weights[4];
  const int64_t order[4] = {0, 1, 2, 3};
  std::vector<float> partial(g.channels);
  if (column_gradients(chunk, grad_columns.data(), to, nullptr) != cudaSuccess ||
      corner_keys(chunk, keys, weights, nullptr) != cudaSuccess ||
      scatter_sorted(ColumnGradients<float>{chunk.shape, 1, grad_columns.data()},
                     chunk.shape.channels, {keys, order, weights, 4}, sorted_image.data,
                     partial.data(), nullptr) != cudaSuccess)
    throw std::runtime_error(emulator::last_error());
  return {columns.back(), grad_image.data[elements - 1], sorted_image.data[elements - 1]};
}

/// The same for attention: the output of a sample at the last pixel, and both routes' gradients.
std::vector<float> attention_beyond_32_bits() {
  const AttnGeometry g{1, 1024 * 1024, 1, 4096, 1, 1, 1, {{1024, 1024, 0}}};
  const int64_t elements = g.pixels * g.channels;
  Sparse<float> value(elements), grad_value(elements), sorted_value(elements);
  value.data[elements - 1] = 3;
  std::vector<float> output(g.channels), grad_output(g.channels), partial(g.channels);
  grad_output.back() = 1;
  const float location[2] = {1023.5f / 1024, 1023.5f / 1024}, weight = 1;
  const AttnCall<float, float> call{AttnShape(g, 1),
                                    {value.data, elements, g.channels, g.channels, 1},
                                    {location, 2, 2, 2, 2, 2, 1},
                                    {&weight, 1, 1, 1, 1, 1, 0}};
  const QueryView<const float> grad{grad_output.data(), g.channels, g.channels};
  const AttnChunk chunk(call.shape, 0, 1);
  int32_t memory[4];
  const Keys keys{memory, false};
  float weights[4];
  const int64_t order[4] = {0, 1, 2, 3};
  if (attend(call, {output.data(), g.channels, g.channels}, nullptr) != cudaSuccess ||
      attn_gradients(call, grad, {grad_value.data, nullptr, nullptr}, nullptr) != cudaSuccess ||
      attn_keys(call, chunk, keys, weights, nullptr) != cudaSuccess ||
      scatter_sorted(QueryGradients<float>{call.shape, chunk, grad}, call.shape.channels,
                     {keys, order, weights, 4}, sorted_value.data, partial.data(),
                     nullptr) != cudaSuccess)
    throw std::runtime_error(emulator::last_error());
  return {output.back(), grad_value.data[elements - 1], sorted_value.data[elements - 1]};
}

/// Images of a pass and samples of a chunk of attention, and whether the kernels' counts hold it.
std::tuple<int64_t, int64_t, bool> attn_plan(int64_t batch, int64_t pixels, int64_t heads,
                                             int64_t channels, int64_t queries,
                                             int64_t element_size, int64_t acc_size,
                                             int64_t bytes) {
  const AttnGeometry g{batch, pixels, heads, channels, queries, 1, 1, {}};
  const AttnPlan plan = plan_attn(g, element_size, acc_size, bytes);
  return {plan.images, plan.samples, fits_kernels(g)};
}

}  // namespace

PYBIND11_MODULE(dcnbuild_emulator, m) {
  m.def("configure", configure, py::arg("order") = "forward", py::arg("seed") = 0,
        py::arg("os_threads") = 1);
  m.def("fail_launch", [](const std::string& why, int64_t after) {
    emulator::settings().failure = why;
    emulator::settings().launches_before_failure = after;
  });
  m.def("take_launches", take_launches);
  m.def("block_sums", block_sums);
  m.def("launch_error", launch_error);
  m.def("gradient_beyond_32_bits", gradient_beyond_32_bits);
  m.def("attention_beyond_32_bits", attention_beyond_32_bits);
  m.def("raw_launch_error", raw_launch_error);

  py::class_<Geometry>(m, "Geometry")
      .def(py::init([](const py::kwargs& sizes) {
        Geometry g{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1};
        const std::pair<const char*, int64_t*> fields[] = {{"batch", &g.batch},
                                                           {"channels", &g.channels},
                                                           {"height", &g.height},
                                                           {"width", &g.width},
                                                           {"out_channels", &g.out_channels},
                                                           {"out_height", &g.out_height},
                                                           {"out_width", &g.out_width},
                                                           {"kernel_h", &g.kernel_h},
                                                           {"kernel_w", &g.kernel_w},
                                                           {"padding_h", &g.padding_h},
                                                           {"padding_w", &g.padding_w},
                                                           {"groups", &g.groups},
                                                           {"offset_groups", &g.offset_groups}};
        for (const auto& [name, value] : sizes) {
          const auto* field =
              std::find_if(std::begin(fields), std::end(fields),
                           [&](const auto& f) { return name.cast<std::string>() == f.first; });
          if (field == std::end(fields)) throw py::key_error(name.cast<std::string>());
          *field->second = value.cast<int64_t>();
        }
        return g;
      }))
      .def("positions", &Geometry::positions)
      .def("column_size", &Geometry::column_size);
  py::class_<ChunkPlan>(m, "ChunkPlan")
      .def_readonly("images", &ChunkPlan::images)
      .def_readonly("positions", &ChunkPlan::positions);
  py::class_<SampleGrid>(m, "SampleGrid")
      .def_readonly("channels", &SampleGrid::channels)
      .def_readonly("splits", &SampleGrid::splits)
      .def_readonly("tiles", &SampleGrid::tiles)
      .def("blocks", &SampleGrid::blocks);
  m.def("plan_chunks", plan_chunks, py::arg("geometry"), py::arg("element_size") = 4,
        py::arg("acc_size") = 4, py::arg("deterministic") = false,
        py::arg("column_bytes") = kColumnBytes);
  m.def("chunk_bytes", chunk_bytes);
  m.def("sort_bytes", sort_bytes);
  m.def("sample_grid", sample_grid);
  m.def("lanes_per_sample", lanes_per_sample);
  m.def("fits_kernels", py::overload_cast<const Geometry&>(fits_kernels));
  m.def("attn_plan", attn_plan, py::kw_only(), py::arg("batch") = 1, py::arg("pixels") = 1,
        py::arg("heads") = 1, py::arg("channels") = 1, py::arg("queries") = 1,
        py::arg("element_size") = 4, py::arg("acc_size") = 4, py::arg("bytes") = kColumnBytes);
  m.def("sorted_entry_bytes", sorted_entry_bytes);
  m.attr("column_bytes") = kColumnBytes;
  m.attr("most_column_bytes") = kMostColumnBytes;
  m.attr("count_limit") = kCountLimit;
  m.attr("samples_per_block") = kSamplesPerBlock;
  m.attr("positions_per_block") = kPositionsPerBlock;
}
