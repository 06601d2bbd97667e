#include <torch/script.h>
#include <torch/csrc/autograd/variable.h>
#include <ATen/ATen.h>
#include <vector>
namespace spconv {
template <typename T>
torch::Tensor indiceConv(torch::Tensor features, torch::Tensor filters, int64_t numActOut, int64_t inverse) {
  auto device = features.device().type();
  auto ndim = filters.dim() - 2;
  auto options = torch::TensorOptions().dtype(features.dtype()).device(features.device());
  torch::Tensor output = torch::zeros({numActOut, ndim}, options);
  filters = filters.view({-1, ndim, numActOut});
  torch::mm_out(output, features, filters[0]);
  const T* p = features.data_ptr<T>();
  if (device == torch::kCPU) output.add_(T(p[0]));
  else if (device == torch::kCUDA) { assert(inverse); }
  return output;
}
}
static auto registry =
    torch::RegisterOperators("spconv::indice_conv_fp32", &spconv::indiceConv<float>)
        .op("spconv::indice_conv_double", &spconv::indiceConv<double>);
