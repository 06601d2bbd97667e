#include <torch/extension.h>
#include <math.h>
#include <stdio.h>
#include <ATen/ATen.h>
#include <cstdint>

#ifndef PORTED_BLAS_GEMM
#define PORTED_BLAS_GEMM
// TH*Blas_gemm as it was: column-major, on the CPU. To torch, a column-major matrix is its own
// transpose, so this computes c^T = op(b)^T op(a)^T.
template <typename T>
void ported_blas_gemm(
    char transa, char transb, int64_t m, int64_t n, int64_t k, T alpha, const T* a, int64_t lda,
    const T* b, int64_t ldb, T beta, T* c, int64_t ldc) {
  const auto options = at::TensorOptions().dtype(c10::CppTypeToScalarType<T>::value);
  auto transpose = [&](const T* data, char trans, int64_t rows, int64_t columns, int64_t leading) {
    const bool flip = trans == 't' || trans == 'T';
    auto stored = at::from_blob(const_cast<T*>(data), {flip ? rows : columns, flip ? columns : rows},
                                {leading, int64_t{1}}, options);
    return flip ? stored.t() : stored;
  };
  auto out = at::from_blob(c, {n, m}, {ldc, int64_t{1}}, options);
  at::addmm_out(out, out, transpose(b, transb, k, n, ldb), transpose(a, transa, m, k, lda), beta,
                alpha);
}
#endif  // PORTED_BLAS_GEMM

#ifndef PORTED_BLAS_GEMV
#define PORTED_BLAS_GEMV
// TH*Blas_gemv as it was: y = alpha * op(a) * x + beta * y on the CPU, a being m by n, column-major.
template <typename T>
void ported_blas_gemv(
    char trans, int64_t m, int64_t n, T alpha, const T* a, int64_t lda, const T* x, int64_t incx,
    T beta, T* y, int64_t incy) {
  const auto options = at::TensorOptions().dtype(c10::CppTypeToScalarType<T>::value);
  const bool flip = trans == 't' || trans == 'T';
  auto matrix = at::from_blob(const_cast<T*>(a), {n, m}, {lda, int64_t{1}}, options);
  auto in = at::from_blob(const_cast<T*>(x), {flip ? m : n}, {incx}, options);
  auto out = at::from_blob(y, {flip ? n : m}, {incy}, options);
  at::addmv_out(out, out, flip ? matrix : matrix.t(), in, beta, alpha);
}
#endif  // PORTED_BLAS_GEMV

typedef struct {
  int channels, height, width, kernel_h, kernel_w, stride, pad, dilation, groups, height_out, width_out;
} Layout;

static Layout layout_of(at::Tensor input, at::Tensor weight, at::Tensor offset, int stride, int pad,
                        int dilation, int groups) {
  Layout l;
  l.channels = input.size(1);
  l.height = input.size(2);
  l.width = input.size(3);
  l.kernel_h = weight.size(2);
  l.kernel_w = weight.size(3);
  l.stride = stride;
  l.pad = pad;
  l.dilation = dilation;
  l.groups = groups;
  l.height_out = (l.height + 2 * pad - (dilation * (l.kernel_h - 1) + 1)) / stride + 1;
  l.width_out = (l.width + 2 * pad - (dilation * (l.kernel_w - 1) + 1)) / stride + 1;
  TORCH_CHECK(offset.size(2) == l.height_out, "offsets of ", (int)offset.size(2), " rows, not ", l.height_out);
  return l;
}

/* Adds weight times grad to the four neighbours of a place where `grads` is given; returns the value there. */
static double at_place(const double *plane, double *grads, double grad, Layout l, double y, double x, double *dy,
                       double *dx) {
  int y0 = floor(y), x0 = floor(x), i, j;
  double value = 0;
  for (i = 0; i < 2; i++) {
    for (j = 0; j < 2; j++) {
      int row = y0 + i, column = x0 + j;
      double wy = i ? y - y0 : 1 - (y - y0), wx = j ? x - x0 : 1 - (x - x0);
      if (row < 0 || row >= l.height || column < 0 || column >= l.width) continue;
      value += wy * wx * plane[row * l.width + column];
      if (grads != NULL) grads[row * l.width + column] += wy * wx * grad;
      if (dy != NULL) *dy += (i ? wx : -wx) * plane[row * l.width + column];
      if (dx != NULL) *dx += (j ? wy : -wy) * plane[row * l.width + column];
    }
  }
  return value;
}

static void im2col(const double *image, const double *offset, const double *mask, Layout l, double *columns) {
  int taps = l.kernel_h * l.kernel_w, places = l.height_out * l.width_out, c, k, p;
  for (c = 0; c < l.channels; c++) {
    int group = c / (l.channels / l.groups);
    for (k = 0; k < taps; k++) {
      for (p = 0; p < places; p++) {
        const double *shift = offset + (group * 2 * taps + 2 * k) * places + p;
        double y = p / l.width_out * l.stride - l.pad + k / l.kernel_w * l.dilation + shift[0];
        double x = p % l.width_out * l.stride - l.pad + k % l.kernel_w * l.dilation + shift[places];
        columns[(c * taps + k) * places + p] = mask[(group * taps + k) * places + p] *
            at_place(image + c * l.height * l.width, NULL, 0, l, y, x, NULL, NULL);
      }
    }
  }
}

static void col2im(const double *columns, const double *image, const double *offset, const double *mask, Layout l,
                   double *grad_image, double *grad_offset, double *grad_mask) {
  int taps = l.kernel_h * l.kernel_w, places = l.height_out * l.width_out, c, k, p;
  for (c = 0; c < l.channels; c++) {
    int group = c / (l.channels / l.groups);
    for (k = 0; k < taps; k++) {
      for (p = 0; p < places; p++) {
        int at = (group * 2 * taps + 2 * k) * places + p, m = (group * taps + k) * places + p;
        double y = p / l.width_out * l.stride - l.pad + k / l.kernel_w * l.dilation + offset[at];
        double x = p % l.width_out * l.stride - l.pad + k % l.kernel_w * l.dilation + offset[at + places];
        double grad = columns[(c * taps + k) * places + p], dy = 0, dx = 0;
        grad_mask[m] += grad * at_place(image + c * l.height * l.width, grad_image + c * l.height * l.width,
                                        grad * mask[m], l, y, x, &dy, &dx);
        grad_offset[at] += grad * mask[m] * dy;
        grad_offset[at + places] += grad * mask[m] * dx;
      }
    }
  }
}

int mdconv_forward(at::Tensor input, at::Tensor weight, at::Tensor bias, at::Tensor ones,
                   at::Tensor offset, at::Tensor mask, at::Tensor output, at::Tensor columns,
                   int stride, int pad, int dilation, int groups) {
  TORCH_CHECK(input.is_contiguous(), "input tensor has to be contiguous");
  TORCH_CHECK(weight.is_contiguous(), "weight tensor has to be contiguous");
  Layout l = layout_of(input, weight, offset, stride, pad, dilation, groups);
  const long batch = input.size(0), channels_out = weight.size(0);
  if (weight.size(1) != l.channels) TORCH_CHECK(false, "Input shape and kernel channels do not match: (", l.channels, ").");
  if (ones.dim() != 2 || ones.size(0) * ones.size(1) < l.height_out * l.width_out) {
    ones.resize_({l.height_out, l.width_out});
    ones.fill_(1);
  }
  output.resize_({batch, channels_out, l.height_out, l.width_out});
  columns.resize_({l.channels * l.kernel_h * l.kernel_w, 1 * l.height_out * l.width_out});

  at::Tensor input_n = at::empty({0}, at::device(at::kCPU).dtype(at::kDouble));
  at::Tensor offset_n = at::empty({0}, at::device(at::kCPU).dtype(at::kDouble));
  at::Tensor mask_n = at::empty({0}, at::device(at::kCPU).dtype(at::kDouble));
  at::Tensor output_n = at::empty({0}, at::device(at::kCPU).dtype(at::kDouble));
  for (int b = 0; b < batch; b++) {
    input_n = input.select(0, b);
    offset_n = offset.select(0, b);
    mask_n = mask.select(0, b);
    output_n = output.select(0, b);
    long m = channels_out, n = l.height_out * l.width_out, k = 1;
    ported_blas_gemm<double>('t', 'n', n, m, k, 1.0, ones.data_ptr<double>(), k, bias.data_ptr<double>(), k, 0.0,
                      output_n.data_ptr<double>(), n);
    im2col(input_n.data_ptr<double>(), offset_n.data_ptr<double>(), mask_n.data_ptr<double>(), l,
           columns.data_ptr<double>());
    k = l.channels * l.kernel_h * l.kernel_w;
    ported_blas_gemm<double>('n', 'n', n, m, k, 1.0, columns.data_ptr<double>(), n, weight.data_ptr<double>(), k, 1.0,
                      output_n.data_ptr<double>(), n);
  }
  return 1;
}

int mdconv_backward(at::Tensor input, at::Tensor weight, at::Tensor bias, at::Tensor ones,
                    at::Tensor offset, at::Tensor mask, at::Tensor columns, at::Tensor grad_input,
                    at::Tensor grad_weight, at::Tensor grad_bias, at::Tensor grad_offset,
                    at::Tensor grad_mask, at::Tensor grad_output, int stride, int pad, int dilation,
                    int groups) {
  Layout l = layout_of(input, weight, offset, stride, pad, dilation, groups);
  const int batch = input.size(0), channels_out = weight.size(0);
  const long places = l.height_out * l.width_out, rows = l.channels * l.kernel_h * l.kernel_w;
  at::Tensor input_n = at::empty({0}, at::device(at::kCPU).dtype(at::kDouble)), offset_n = at::empty({0}, at::device(at::kCPU).dtype(at::kDouble)), mask_n = at::empty({0}, at::device(at::kCPU).dtype(at::kDouble));
  at::Tensor grad_output_n = at::empty({0}, at::device(at::kCPU).dtype(at::kDouble)), grad_input_n = at::empty({0}, at::device(at::kCPU).dtype(at::kDouble));
  at::Tensor grad_offset_n = at::empty({0}, at::device(at::kCPU).dtype(at::kDouble)), grad_mask_n = at::empty({0}, at::device(at::kCPU).dtype(at::kDouble));
  ones.resize_({l.height_out, l.width_out});
  ones.fill_(1);
  grad_input.resize_as_(input);
  grad_input.zero_();
  columns.resize_({rows, places});
  int b;
  for (b = 0; b < batch; b++) {
    input_n = input.select(0, b);
    offset_n = offset.select(0, b);
    mask_n = mask.select(0, b);
    grad_output_n = grad_output.select(0, b);
    grad_input_n = grad_input.select(0, b);
    grad_offset_n = grad_offset.select(0, b);
    grad_mask_n = grad_mask.select(0, b);
    ported_blas_gemm<double>('n', 't', places, rows, channels_out, 1.0, grad_output_n.data_ptr<double>(), places,
                      weight.data_ptr<double>(), rows, 0.0, columns.data_ptr<double>(), places);
    col2im(columns.data_ptr<double>(), input_n.data_ptr<double>(), offset_n.data_ptr<double>(),
           mask_n.data_ptr<double>(), l, grad_input_n.data_ptr<double>(), grad_offset_n.data_ptr<double>(),
           grad_mask_n.data_ptr<double>());
    im2col(input_n.data_ptr<double>(), offset_n.data_ptr<double>(), mask_n.data_ptr<double>(), l,
           columns.data_ptr<double>());
    ported_blas_gemm<double>('t', 'n', rows, channels_out, places, 1.0, columns.data_ptr<double>(), places,
                      grad_output_n.data_ptr<double>(), places, 1.0, grad_weight.data_ptr<double>(), rows);
    ported_blas_gemv<double>('t', places, channels_out, 1.0, grad_output_n.data_ptr<double>(), places,
                      ones.data_ptr<double>(), 1, 1.0, grad_bias.data_ptr<double>(), 1);
  }
  return 1;
}
