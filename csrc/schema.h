// The operators' schemas; no other file repeats them. The CPU library registers them. If there is
// no library yet, Python reads the raw strings below and registers the same text
// (dcnbuild/ops/registration.py). So write each schema as one raw string with this delimiter, and
// write no such string in a comment.
#pragma once

namespace dcnbuild {

constexpr const char* kSchemas[] = {
    // input [N, C, H, W]; offset [N, 2*G'*kh*kw, H', W'] as y0, x0, y1, x1, ... per offset group;
    // mask [N, G'*kh*kw, H', W'];
    // weight [O, C/groups, kh, kw]; bias [O]; output [N, O, H', W'].
    R"schema(deform_conv2d(Tensor input, Tensor offset, Tensor? mask, Tensor weight, Tensor? bias, int[2] stride, int[2] padding, int[2] dilation, int groups, int offset_groups) -> Tensor)schema",
    // Gradients of input, offset, mask, weight and bias, in that order. Those that output_mask
    // (five flags) leaves out are tensors of zero elements.
    R"schema(deform_conv2d_backward(Tensor grad_output, Tensor input, Tensor offset, Tensor? mask, Tensor weight, int[2] stride, int[2] padding, int[2] dilation, int groups, int offset_groups, bool[5] output_mask, bool deterministic) -> (Tensor, Tensor, Tensor, Tensor, Tensor))schema",
    // input [N, O*group_size^2, H, W]; rois [R, 5] as image, x1, y1, x2, y2;
    // trans [R, 2*classes, part_size, part_size] as x, y per class; output [R, O, pooled_size,
    // pooled_size]. The backward operator gives the gradients of input and trans.
    R"schema(deform_psroi_pool(Tensor input, Tensor rois, Tensor? trans, float spatial_scale, int group_size, int pooled_size, int part_size, int sample_per_part, float trans_std) -> Tensor)schema",
    R"schema(deform_psroi_pool_backward(Tensor grad_output, Tensor input, Tensor rois, Tensor? trans, float spatial_scale, int group_size, int pooled_size, int part_size, int sample_per_part, float trans_std, bool[2] output_mask, bool deterministic) -> (Tensor, Tensor))schema",
    // input [N, C, H, W]; rois [R, 5] as image, x1, y1, x2, y2; offset [R, 2, h, w] as x, y;
    // output [R, C, h, w]. The backward operator gives the gradients of input and offset.
    R"schema(deform_roi_pool(Tensor input, Tensor rois, Tensor? offset, int[2] output_size, float spatial_scale, int sampling_ratio, float gamma) -> Tensor)schema",
    R"schema(deform_roi_pool_backward(Tensor grad_output, Tensor input, Tensor rois, Tensor? offset, int[2] output_size, float spatial_scale, int sampling_ratio, float gamma, bool[2] output_mask, bool deterministic) -> (Tensor, Tensor))schema",
    // value [N, S, M, D]; spatial_shapes h0, w0, h1, w1, ... of L levels, whose S pixels lie one
    // level after the other; sampling_locations [N, Q, M, L, P, 2] as x, y in 0..1;
    // attention_weights [N, Q, M, L, P]; output [N, Q, M*D]. The sizes are symbolic, so that a
    // compiled graph works for images of every size. The backward operator gives the gradients of
    // value, sampling_locations and attention_weights.
    R"schema(deform_attn(Tensor value, SymInt[] spatial_shapes, Tensor sampling_locations, Tensor attention_weights) -> Tensor)schema",
    R"schema(deform_attn_backward(Tensor grad_output, Tensor value, SymInt[] spatial_shapes, Tensor sampling_locations, Tensor attention_weights, bool[3] output_mask, bool deterministic) -> (Tensor, Tensor, Tensor))schema",
    // The sampling of DCNv3 and DCNv4. input [N, H, W, G, D] of G groups; offset [N, H', W', G, K,
    // 2] as
    // x, y of the K taps, which go down the kernel's columns, one column after the other; mask
    // [N, H', W', G, K]; output [N, H', W', G*D]. K is kh*kw, or one less if the centre is removed.
    // The backward operator gives the gradients of input, offset and mask.
    R"schema(deform_sample(Tensor input, Tensor offset, Tensor mask, int[2] kernel_size, int[2] stride, int[2] padding, int[2] dilation, float offset_scale, bool remove_center) -> Tensor)schema",
    R"schema(deform_sample_backward(Tensor grad_output, Tensor input, Tensor offset, Tensor mask, int[2] kernel_size, int[2] stride, int[2] padding, int[2] dilation, float offset_scale, bool remove_center, bool[3] output_mask, bool deterministic) -> (Tensor, Tensor, Tensor))schema",
};

}  // namespace dcnbuild
