from os.path import dirname, join

from torch.utils.cpp_extension import load

_here = join(dirname(__file__), "src")
_ext = load("pool", [join(_here, name) for name in ("pool_gpu.c", "pool_gpu_impl.cu")])
