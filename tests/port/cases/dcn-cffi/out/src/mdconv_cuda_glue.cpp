#include <ATen/cuda/CUDAContext.h>

#include "cuda/mdconv_im2col_cuda.h"
#include <algorithm>
#include <cstdint>
#include <torch/extension.h>
#include <c10/cuda/CUDAGuard.h>

#ifndef PORTED_CUBLAS_BASE
#define PORTED_CUBLAS_BASE
inline cublasOperation_t ported_cublas_operation(char transposed) {
  TORCH_CHECK(transposed == 'n' || transposed == 'N' || transposed == 't' || transposed == 'T',
              "expected 'n' or 't', got '", transposed, "'");
  return transposed == 'n' || transposed == 'N' ? CUBLAS_OP_N : CUBLAS_OP_T;
}

inline int ported_cublas_int(int64_t value) {
  TORCH_CHECK(value >= 0 && value <= INT32_MAX, "cuBLAS takes sizes up to 2^31 - 1, got ", value);
  return static_cast<int>(value);
}

// A matrix of one column leads to no other: cuBLAS checks the leading dimension all the same.
inline int ported_cublas_leading(int64_t rows, int64_t columns, int64_t leading) {
  return ported_cublas_int(columns > 1 ? leading : std::max(std::max(leading, rows), int64_t{1}));
}
#endif  // PORTED_CUBLAS_BASE

#ifndef PORTED_CUBLAS_SGEMM
#define PORTED_CUBLAS_SGEMM
// THCudaBlas_Sgemm as it was: column-major, on the handle and stream that torch uses.
inline void ported_cublas_sgemm(
    char transa, char transb, int64_t m, int64_t n, int64_t k, float alpha, const float* a,
    int64_t lda, const float* b, int64_t ldb, float beta, float* c, int64_t ldc) {
  const bool flip_a = ported_cublas_operation(transa) == CUBLAS_OP_T;
  const bool flip_b = ported_cublas_operation(transb) == CUBLAS_OP_T;
  const int leading_a = ported_cublas_leading(flip_a ? k : m, flip_a ? m : k, lda);
  const int leading_b = ported_cublas_leading(flip_b ? n : k, flip_b ? k : n, ldb);
  const int leading_c = ported_cublas_leading(m, n, ldc);
  TORCH_CUDABLAS_CHECK(cublasSgemm(
      at::cuda::getCurrentCUDABlasHandle(), ported_cublas_operation(transa),
      ported_cublas_operation(transb), ported_cublas_int(m), ported_cublas_int(n),
      ported_cublas_int(k), &alpha, a, leading_a, b, leading_b, &beta, c, leading_c));
}
#endif  // PORTED_CUBLAS_SGEMM

int mdconv_cuda_forward(at::Tensor input, at::Tensor weight, at::Tensor offset, at::Tensor mask,
                        at::Tensor output, at::Tensor columns, int stride, int pad, int dilation) {
  TORCH_CHECK(input.is_contiguous(), "input tensor has to be contiguous");
  const c10::cuda::OptionalCUDAGuard device_guard(at::device_of(input));
  const int channels = input.size(1), height = input.size(2);
  const int height_out = output.size(2), width_out = output.size(3);
  const int kernel = weight.size(2);
  columns.resize_({channels * kernel * kernel, height_out * width_out});
  at::Tensor input_n = at::empty({0}, at::device(at::kCUDA).dtype(at::kFloat));
  at::Tensor output_n = at::empty({0}, at::device(at::kCUDA).dtype(at::kFloat));
  for (int b = 0; b < input.size(0); b++) {
    input_n = input.select(0, b);
    output_n = output.select(0, b);
    mdconv_im2col_cuda(at::cuda::getCurrentCUDAStream(), input_n.data_ptr<float>(),
                       offset.data_ptr<float>(), mask.data_ptr<float>(), channels, height,
                       input.size(3), height_out, width_out, kernel, pad, stride, dilation,
                       columns.data_ptr<float>());
    long m = weight.size(0), n = height_out * width_out, k = channels * kernel * kernel;
    ported_cublas_sgemm('n', 'n', n, m, k, 1.0f, columns.data_ptr<float>(), n,
                     weight.data_ptr<float>(), k, 0.0f, output_n.data_ptr<float>(), n);
  }
  return 1;
}
