#pragma once
#include <torch/csrc/stable/tensor.h>
#include <optional>
#include <tuple>
#include <vector>

namespace groundingdino {



std::tuple<torch::stable::Tensor, torch::stable::Tensor> sample(
    const torch::stable::Tensor& value, const torch::stable::Tensor& locations, const std::optional<torch::stable::Tensor>& weights, float scale);

void scale_(torch::stable::Tensor& x, const std::vector<double>& factors, int offset);

}  // namespace groundingdino
