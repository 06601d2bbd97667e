#include <TH/TH.h>
#include <TH/THGenerator.hpp>
#include <TH/THRandom.h>
#include <torch/extension.h>

// Draws places with replacement.
at::Tensor draw(at::Tensor weights, int64_t count) {
  THGenerator *generator = THGenerator_new();
  auto out = at::empty({count}, at::kLong);
  auto data = out.data<int64_t>();
  for (int64_t i = 0; i < count; i++) {
    data[i] = THRandom_random(generator) % weights.size(0);
  }
  THGenerator_free(generator);
  return out;
}
