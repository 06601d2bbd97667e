#include <TH/TH.h>
#include <math.h>
#include <stdio.h>

typedef struct {
  int channels, height, width, kernel_h, kernel_w, stride, pad, dilation, groups, height_out, width_out;
} Layout;

static Layout layout_of(THDoubleTensor *input, THDoubleTensor *weight, THDoubleTensor *offset, int stride, int pad,
                        int dilation, int groups) {
  Layout l;
  l.channels = input->size[1];
  l.height = THDoubleTensor_size(input, 2);
  l.width = THDoubleTensor_size(input, 3);
  l.kernel_h = THDoubleTensor_size(weight, 2);
  l.kernel_w = THDoubleTensor_size(weight, 3);
  l.stride = stride;
  l.pad = pad;
  l.dilation = dilation;
  l.groups = groups;
  l.height_out = (l.height + 2 * pad - (dilation * (l.kernel_h - 1) + 1)) / stride + 1;
  l.width_out = (l.width + 2 * pad - (dilation * (l.kernel_w - 1) + 1)) / stride + 1;
  THArgCheck(THDoubleTensor_size(offset, 2) == l.height_out, 5, "offsets of %d rows, not %d",
             (int)THDoubleTensor_size(offset, 2), l.height_out);
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

int mdconv_forward(THDoubleTensor *input, THDoubleTensor *weight, THDoubleTensor *bias, THDoubleTensor *ones,
                   THDoubleTensor *offset, THDoubleTensor *mask, THDoubleTensor *output, THDoubleTensor *columns,
                   int stride, int pad, int dilation, int groups) {
  THArgCheck(THDoubleTensor_isContiguous(input), 1, "input tensor has to be contiguous");
  THArgCheck(THDoubleTensor_isContiguous(weight), 2, "weight tensor has to be contiguous");
  Layout l = layout_of(input, weight, offset, stride, pad, dilation, groups);
  const long batch = THDoubleTensor_size(input, 0), channels_out = THDoubleTensor_size(weight, 0);
  if (THDoubleTensor_size(weight, 1) != l.channels) THError("Input shape and kernel channels do not match: (%d).", l.channels);
  if (THDoubleTensor_nDimension(ones) != 2 || THDoubleTensor_size(ones, 0) * THDoubleTensor_size(ones, 1) < l.height_out * l.width_out) {
    THDoubleTensor_resize2d(ones, l.height_out, l.width_out);
    THDoubleTensor_fill(ones, 1);
  }
  THDoubleTensor_resize4d(output, batch, channels_out, l.height_out, l.width_out);
  THDoubleTensor_resize2d(columns, l.channels * l.kernel_h * l.kernel_w, 1 * l.height_out * l.width_out);

  THDoubleTensor *input_n = THDoubleTensor_new();
  THDoubleTensor *offset_n = THDoubleTensor_new();
  THDoubleTensor *mask_n = THDoubleTensor_new();
  THDoubleTensor *output_n = THDoubleTensor_new();
  for (int b = 0; b < batch; b++) {
    THDoubleTensor_select(input_n, input, 0, b);
    THDoubleTensor_select(offset_n, offset, 0, b);
    THDoubleTensor_select(mask_n, mask, 0, b);
    THDoubleTensor_select(output_n, output, 0, b);
    long m = channels_out, n = l.height_out * l.width_out, k = 1;
    THDoubleBlas_gemm('t', 'n', n, m, k, 1.0, THDoubleTensor_data(ones), k, THDoubleTensor_data(bias), k, 0.0,
                      THDoubleTensor_data(output_n), n);
    im2col(THDoubleTensor_data(input_n), THDoubleTensor_data(offset_n), THDoubleTensor_data(mask_n), l,
           THDoubleTensor_data(columns));
    k = l.channels * l.kernel_h * l.kernel_w;
    THDoubleBlas_gemm('n', 'n', n, m, k, 1.0, THDoubleTensor_data(columns), n, THDoubleTensor_data(weight), k, 1.0,
                      THDoubleTensor_data(output_n), n);
  }
  THDoubleTensor_free(input_n);
  THDoubleTensor_free(offset_n);
  THDoubleTensor_free(mask_n);
  THDoubleTensor_free(output_n);
  return 1;
}

int mdconv_backward(THDoubleTensor *input, THDoubleTensor *weight, THDoubleTensor *bias, THDoubleTensor *ones,
                    THDoubleTensor *offset, THDoubleTensor *mask, THDoubleTensor *columns, THDoubleTensor *grad_input,
                    THDoubleTensor *grad_weight, THDoubleTensor *grad_bias, THDoubleTensor *grad_offset,
                    THDoubleTensor *grad_mask, THDoubleTensor *grad_output, int stride, int pad, int dilation,
                    int groups) {
  Layout l = layout_of(input, weight, offset, stride, pad, dilation, groups);
  const int batch = input->size[0], channels_out = weight->size[0];
  const long places = l.height_out * l.width_out, rows = l.channels * l.kernel_h * l.kernel_w;
  THDoubleTensor *input_n = THDoubleTensor_new(), *offset_n = THDoubleTensor_new(), *mask_n = THDoubleTensor_new();
  THDoubleTensor *grad_output_n = THDoubleTensor_new(), *grad_input_n = THDoubleTensor_new();
  THDoubleTensor *grad_offset_n = THDoubleTensor_new(), *grad_mask_n = THDoubleTensor_new();
  THDoubleTensor_resize2d(ones, l.height_out, l.width_out);
  THDoubleTensor_fill(ones, 1);
  THDoubleTensor_resizeAs(grad_input, input);
  THDoubleTensor_zero(grad_input);
  THDoubleTensor_resize2d(columns, rows, places);
  int b;
  for (b = 0; b < batch; b++) {
    THDoubleTensor_select(input_n, input, 0, b);
    THDoubleTensor_select(offset_n, offset, 0, b);
    THDoubleTensor_select(mask_n, mask, 0, b);
    THDoubleTensor_select(grad_output_n, grad_output, 0, b);
    THDoubleTensor_select(grad_input_n, grad_input, 0, b);
    THDoubleTensor_select(grad_offset_n, grad_offset, 0, b);
    THDoubleTensor_select(grad_mask_n, grad_mask, 0, b);
    THDoubleBlas_gemm('n', 't', places, rows, channels_out, 1.0, THDoubleTensor_data(grad_output_n), places,
                      THDoubleTensor_data(weight), rows, 0.0, THDoubleTensor_data(columns), places);
    col2im(THDoubleTensor_data(columns), THDoubleTensor_data(input_n), THDoubleTensor_data(offset_n),
           THDoubleTensor_data(mask_n), l, THDoubleTensor_data(grad_input_n), THDoubleTensor_data(grad_offset_n),
           THDoubleTensor_data(grad_mask_n));
    im2col(THDoubleTensor_data(input_n), THDoubleTensor_data(offset_n), THDoubleTensor_data(mask_n), l,
           THDoubleTensor_data(columns));
    THDoubleBlas_gemm('t', 'n', rows, channels_out, places, 1.0, THDoubleTensor_data(columns), places,
                      THDoubleTensor_data(grad_output_n), places, 1.0, THDoubleTensor_data(grad_weight), rows);
    THDoubleBlas_gemv('t', places, channels_out, 1.0, THDoubleTensor_data(grad_output_n), places,
                      THDoubleTensor_data(ones), 1, 1.0, THDoubleTensor_data(grad_bias), 1);
  }
  THDoubleTensor_free(input_n);
  THDoubleTensor_free(offset_n);
  THDoubleTensor_free(mask_n);
  THDoubleTensor_free(grad_output_n);
  THDoubleTensor_free(grad_input_n);
  THDoubleTensor_free(grad_offset_n);
  THDoubleTensor_free(grad_mask_n);
  return 1;
}
