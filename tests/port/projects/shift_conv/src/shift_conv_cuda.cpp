#include <torch/extension.h>

#include <cmath>
#include <vector>

void shift_im2col(const at::Tensor data_im, const at::Tensor data_offset, const int channels,
                  const int pad_h, const int pad_w, const int parallel_imgs, at::Tensor data_col);

void shape_check(at::Tensor input, at::Tensor offset, at::Tensor *gradOutput, at::Tensor weight,
                 int kH, int kW, int padH, int padW) {
  AT_CHECK(weight.ndimension() == 4,
           "4D weight tensor (nOutputPlane,nInputPlane,kH,kW) expected, "
           "but got: %s",
           weight.ndimension());
  AT_CHECK(weight.is_contiguous(), "weight tensor has to be contiguous");
  AT_CHECK(kW > 0 && kH > 0, "kernel size should be greater than zero, but got kH: %d kW: %d", kH,
           kW);
  int ndim = input.ndimension();
  AT_CHECK(ndim == 3 || ndim == 4, "3D or 4D input tensor expected but got: %s", ndim);
  if (padH < 0 || padW < 0)
    AT_ERROR("Given padding (%d, %d). It is too small", padH, padW);
  AT_CHECK((offset.size(2) == kH), "invalid spatial size of offset, expected height: %d", kH);
  if (gradOutput != NULL) {
    AT_CHECK(gradOutput->size(1) == weight.size(0), "invalid number of gradOutput planes");
  }
}

int shift_forward_cuda(at::Tensor input, at::Tensor weight, at::Tensor offset, at::Tensor output,
                       at::Tensor columns, int kW, int kH, int padW, int padH, int im2col_step) {
  shape_check(input, offset, NULL, weight, kH, kW, padH, padW);
  input = input.contiguous();
  int batch = 1;
  if (input.ndimension() == 3) {
    batch = 0;
    input.unsqueeze_(0);
  }
  long batchSize = input.size(0);
  AT_CHECK((offset.size(0) == batchSize), "invalid batch size of offset");
  shift_im2col(input, offset, input.size(1), padH, padW, im2col_step, columns);
  output = output.view({batchSize, weight.size(0)}).addmm_(weight.flatten(1), columns);
  return batch;
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.def("shift_forward_cuda", &shift_forward_cuda, "shift forward (CUDA)");
}
