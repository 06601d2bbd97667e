import _ext as _backend
from torch.autograd import Function


class _DCNv2(Function):
    @staticmethod
    def forward(ctx, input, weight, bias, offset, mask, columns, output, stride, pad, dilation):
        ctx.save_for_backward(input, offset, mask, weight, bias)
        _backend.dcn_v2_forward(input, weight, bias, offset, mask, columns, output, stride, pad, dilation)
        return output
