#pragma once
#include <torch/extension.h>

namespace groundingdino {

using namespace at;

std::tuple<Tensor, Tensor> sample(
    const Tensor& value, const Tensor& locations, const c10::optional<Tensor>& weights, float scale);

void scale_(Tensor& x, const std::vector<double>& factors, int offset);

}  // namespace groundingdino
