# Written by `dcnbuild port` from the arguments of 'build.py'.

from setuptools import find_packages, setup
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CppExtension, CUDAExtension

setup(
    name='nms',
    version="0.0.0",
    packages=find_packages('.'),
    package_dir={"": '.'},
    py_modules=[],
    ext_modules=[
        CUDAExtension(
            '_ext.nms',
            ['src/nms_glue.cpp', 'src/nms_cuda_glue.cpp', 'src/nms_kernel.cu', 'nms_binding.cpp'],
            include_dirs=['src'],
            define_macros=[('WITH_CUDA', None)],
        )
        if CUDA_HOME
        else CppExtension(
            '_ext.nms',
            ['src/nms_glue.cpp', 'nms_binding.cpp'],
            include_dirs=['src'],
            define_macros=[],
        ),
    ],
    cmdclass={"build_ext": BuildExtension},
)
