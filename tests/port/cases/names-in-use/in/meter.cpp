#include <ATen/ATen.h>
#include <vector>

#include "common.h"

// What stands alone is torch's, but for what the project defines.
Tensor ones(int rows);

Tensor curve(Tensor scores, const Type& type) {
  Tensor sorted, places;
  std::tie(sorted, places) = sort(scores, 0, true);
  Tensor hits = zeros(CPU(kDouble), {numel(scores)});
  Tensor misses = full(type, {2, 2}, 1);
  return cat({zeros(scores.type(), {3}), hits, misses.toBackend(kCPU), ones(4)}, 0);
}
