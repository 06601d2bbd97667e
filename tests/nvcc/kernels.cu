// Every kernel in every dtype, and nothing else, for reading what nvcc makes of them.
#include "deform_attn/cuda/value_scatter.cuh"
#include "deform_conv2d/cuda/column_scatter.cuh"
#include "deform_conv2d/cuda/columns.cuh"
#include "deform_conv2d/cuda/layout.cuh"
#include "deform_pool/cuda/input_gradient.cuh"
#include "deform_pool/cuda/offset_gradient.cuh"
#include "deform_pool/cuda/output.cuh"

namespace dcnbuild::cuda {

#define WITH_OFFSETS(T, offset_t)                                                                \
  template cudaError_t gather_columns(const Chunk<T, offset_t>&, T*, cudaStream_t);              \
  template cudaError_t column_gradients(const Chunk<T, offset_t>&, const T*,                     \
                                        const Destinations<T, offset_t>&, cudaStream_t);         \
  template cudaError_t corner_keys(const Chunk<T, offset_t>&, const Keys&, acc_type<T>*,         \
                                   cudaStream_t);                                                \
  template cudaError_t attend(const AttnCall<T, offset_t>&, const QueryView<T>&, cudaStream_t);  \
  template cudaError_t attn_gradients(const AttnCall<T, offset_t>&, const QueryView<const T>&,   \
                                      const AttnDestinations<T, offset_t>&, cudaStream_t);       \
  template cudaError_t attn_keys(const AttnCall<T, offset_t>&, const AttnChunk&, const Keys&,    \
                                 acc_type<T>*, cudaStream_t);                                    \
  template cudaError_t pool(const PoolCall<T, offset_t>&, const View4<T>&, cudaStream_t);        \
  template cudaError_t pool_input_gradient(const PoolCall<T, offset_t>&, const View4<const T>&,  \
                                           const View4<acc_type<T>>&, bool, cudaStream_t);       \
  template cudaError_t pool_offset_gradient(const PoolCall<T, offset_t>&, const View4<const T>&, \
                                            const View4<offset_t>&, cudaStream_t);
WITH_OFFSETS(double, double)
WITH_OFFSETS(float, float)
WITH_OFFSETS(__half, __half)
WITH_OFFSETS(__half, float)
WITH_OFFSETS(__nv_bfloat16, __nv_bfloat16)
WITH_OFFSETS(__nv_bfloat16, float)

#define COPIES(From, To)                                                                \
  template cudaError_t copy_layout(int64_t, const CopyShape&, const View4<const From>&, \
                                   const View4<To>&, cudaStream_t);
#define SUMS_FROM(Source)                                                   \
  template cudaError_t scatter_sorted(                                      \
      const Source&, int, const SortedCorners<acc_type<Source::scalar_t>>&, \
      acc_type<Source::scalar_t>*, acc_type<Source::scalar_t>*, cudaStream_t);
#define SUMS(T) SUMS_FROM(ColumnGradients<T>) SUMS_FROM(QueryGradients<T>) COPIES(T, T)
SUMS(double)
SUMS(float)
SUMS(__half)
SUMS(__nv_bfloat16)
COPIES(float, __half)
COPIES(float, __nv_bfloat16)
template cudaError_t accumulate(int64_t, const float*, float*, cudaStream_t);
template cudaError_t accumulate(int64_t, const __half*, float*, cudaStream_t);
template cudaError_t accumulate(int64_t, const __nv_bfloat16*, float*, cudaStream_t);

}  // namespace dcnbuild::cuda
