import os

from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

nvcc_args = [
    '-lineinfo',
]
setup(name='exchange', ext_modules=[CUDAExtension('exchange', ['src/exchange.cpp', 'src/keys.cu'],
      extra_compile_args={'cxx': [], 'nvcc': nvcc_args})], cmdclass={'build_ext': BuildExtension})
