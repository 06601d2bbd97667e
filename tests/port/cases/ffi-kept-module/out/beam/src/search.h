#include <torch/extension.h>
int beam_widen(at::Tensor scores, int width);
int beam_scale(at::Tensor scores, float factor);
