import MultiScaleAttention as MSDA
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class MSDeformAttnFunction(Function):
    @staticmethod
    def forward(ctx, value, shapes, starts, locations, weights, im2col_step):
        ctx.im2col_step = im2col_step
        output = MSDA.ms_deform_attn_forward(value, shapes, starts, locations, weights, im2col_step)
        ctx.save_for_backward(value, shapes, starts, locations, weights)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        saved = ctx.saved_tensors
        grads = MSDA.ms_deform_attn_backward(*saved, grad_output, ctx.im2col_step)
        return grads[0], None, None, grads[1], grads[2], None
