import os

from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

nvcc_args = [
    '-gencode', 'arch=compute_50,code=sm_50', '-gencode', 'arch=compute_61,code=compute_61',
    '-ccbin', '/usr/bin/gcc-4.9', '-Xcompiler', '-std=c++11', '-lineinfo',
]
setup(name='exchange', ext_modules=[CUDAExtension('exchange', ['src/exchange.cpp', 'src/keys.cu'],
      extra_compile_args={'cxx': ['-std=c++14'], 'nvcc': nvcc_args})], cmdclass={'build_ext': BuildExtension})
