# Written by `dcnbuild port` from the arguments of 'build.py'.

from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

setup(
    name='nms',
    version="0.0.0",
    packages=find_packages('.'),
    package_dir={"": '.'},
    py_modules=[],
    ext_modules=[
        CUDAExtension(
            '_ext.nms',
            ['src/nms_glue.cpp', 'src/nms_cuda_glue.cpp', 'src/cuda/nms_kernel.cu', 'nms_binding.cpp'],
            include_dirs=['src', 'src/cuda'],
            define_macros=[('WITH_CUDA', None)],
        ),
    ],
    cmdclass={"build_ext": BuildExtension},
)
