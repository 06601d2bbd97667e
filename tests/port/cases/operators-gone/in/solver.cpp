#include <nvToolsExt.h>
#include <torch/extension.h>

CAFFE2_API at::Tensor whiten(at::Tensor x);

at::Tensor whiten(at::Tensor x) {
  nvtxRangePushA("whiten");
  at::Type& cpu = at::CPU(at::kDouble);
  auto weights = cpu.ones({x.size(1)});
  double two[] = {1, 2};
  weights[0] = torch::CPU(torch::kDouble).tensorFromBlob(two, {2}).sum();
  auto cov = at::zeros(x.type().toBackend(at::Backend::CPU), {x.size(1), x.size(1)});
  auto host = x.toType(x.type().toBackend(at::Backend::CPU));
  cov += host.t().mm(host) + weights.diag();
  auto root = at::cholesky(cov, /*upper=*/false);
  auto spectrum = at::symeig(cov, true);
  auto frame = std::get<0>(at::qr(root));
  auto solved = std::get<0>(at::gesv(host.t(), root));
  nvtxRangePop();
  return at::leaky_relu_backward(solved, frame, 0.1) * std::get<0>(spectrum);
}
