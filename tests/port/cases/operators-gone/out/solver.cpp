#include <nvtx3/nvToolsExt.h>
#include <torch/extension.h>

TORCH_API at::Tensor whiten(at::Tensor x);

at::Tensor whiten(at::Tensor x) {
  nvtxRangePushA("whiten");
  at::DeprecatedTypeProperties& cpu = at::CPU(at::kDouble);
  auto weights = at::ones({x.size(1)}, cpu.options());
  double two[] = {1, 2};
  weights[0] = at::from_blob(two, {2}, at::device(at::kCPU).dtype(torch::kDouble)).sum();
  auto cov = at::zeros({x.size(1), x.size(1)}, x.type().toBackend(at::Backend::CPU).options());
  auto host = x.to(x.type().toBackend(at::Backend::CPU).options());
  cov += host.t().mm(host) + weights.diag();
  auto root = at::linalg_cholesky(cov, /*upper=*/false);
  auto spectrum = at::linalg_eigh(cov, "U");
  auto frame = std::get<0>(at::linalg_qr(root));
  auto solved = at::linalg_solve(root, host.t());
  nvtxRangePop();
  return at::leaky_relu_backward(solved, frame, 0.1, false) * std::get<0>(spectrum);
}
