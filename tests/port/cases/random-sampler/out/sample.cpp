#include <torch/extension.h>
#include <ATen/CPUGeneratorImpl.h>

// Draws places with replacement.
at::Tensor draw(at::Tensor weights, int64_t count) {
  at::Generator generator = at::detail::createCPUGenerator(c10::detail::getNonDeterministicRandom());
  auto out = at::empty({count}, at::kLong);
  auto data = out.data_ptr<int64_t>();
  for (int64_t i = 0; i < count; i++) {
    data[i] = at::check_generator<at::CPUGeneratorImpl>(generator)->random() % weights.size(0);
  }
  static_cast<void>(generator);
  return out;
}
