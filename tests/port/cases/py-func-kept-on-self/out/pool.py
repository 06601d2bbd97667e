from torch import nn
from torch.autograd import Function


class ScaleFunction(Function):
    @staticmethod
    def forward(ctx, x, k):
        ctx.k = k
        return x * ctx.k

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.k, None


class Scale(nn.Module):
    def __init__(self, k):
        super(Scale, self).__init__()
        self.k = k

    def forward(self, x):
        return ScaleFunction.apply(x, self.k)
