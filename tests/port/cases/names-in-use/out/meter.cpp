#include <ATen/ATen.h>
#include <vector>

#include "common.h"

// What stands alone is torch's, but for what the project defines.
Tensor ones(int rows);

Tensor curve(Tensor scores, const DeprecatedTypeProperties& type) {
  Tensor sorted, places;
  std::tie(sorted, places) = sort(scores, 0, true);
  Tensor hits = zeros({numel(scores)}, at::device(at::kCPU).dtype(kDouble));
  Tensor misses = full({2, 2}, 1, type.options());
  return cat({zeros({3}, scores.options()), hits, misses.to(kCPU), ones(4)}, 0);
}
