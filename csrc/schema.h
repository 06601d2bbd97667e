// The operators' schemas: their one home. The CPU library registers them; where there is no library
// yet, Python reads the raw strings below and registers the same text
// (dcnbuild/ops/registration.py), so keep one raw string with this delimiter each, and write none here.
#pragma once

namespace dcnbuild {

constexpr const char* kSchemas[] = {
    // input [N, C, H, W]; offset [N, 2*G'*kh*kw, H', W'] as y0, x0, y1, x1, ... per offset group;
    // mask [N, G'*kh*kw, H', W'];
    // weight [O, C/groups, kh, kw]; bias [O]; output [N, O, H', W'].
    R"schema(deform_conv2d(Tensor input, Tensor offset, Tensor? mask, Tensor weight, Tensor? bias, int[2] stride, int[2] padding, int[2] dilation, int groups, int offset_groups) -> Tensor)schema",
    // Gradients of input, offset, mask, weight and bias, in that order. Those that output_mask
    // (five flags) leaves out come
    // back with zero elements.
    R"schema(deform_conv2d_backward(Tensor grad_output, Tensor input, Tensor offset, Tensor? mask, Tensor weight, int[2] stride, int[2] padding, int[2] dilation, int groups, int offset_groups, bool[5] output_mask, bool deterministic) -> (Tensor, Tensor, Tensor, Tensor, Tensor))schema",
};

}  // namespace dcnbuild
