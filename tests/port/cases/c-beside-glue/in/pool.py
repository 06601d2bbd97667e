import torch
from cffi import FFI
from _ext import jagged
from torch.autograd import Function

ffi = FFI()


class JaggedMax(Function):
    @staticmethod
    def forward(ctx, values, ends):
        device = ffi.new("int *")
        device[0] = -1
        out = values.new(ends.size(0))
        jagged.jagged_max(values, ends, out)
        return out
