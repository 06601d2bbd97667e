from torch.autograd import Function


class Twice(Function):
    @staticmethod
    def forward(ctx, x, k):
        ctx.k = k
        return x * ctx.k

    @staticmethod
    def backward(ctx, *args):
        return args[0] * ctx.k, None
