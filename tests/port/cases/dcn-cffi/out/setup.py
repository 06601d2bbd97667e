# Written by `dcnbuild port` from the arguments of 'build.py'.

from setuptools import find_packages, setup
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CppExtension, CUDAExtension

setup(
    name='mdconv',
    version="0.0.0",
    packages=find_packages('.'),
    package_dir={"": '.'},
    py_modules=['mdconv', 'mdconv_func'],
    ext_modules=[
        CUDAExtension(
            '_ext.mdconv',
            ['src/mdconv_glue.cpp', 'src/mdconv_cuda_glue.cpp', 'src/cuda/mdconv_im2col_cuda.cu', 'mdconv_binding.cpp'],
            include_dirs=['src', 'src/cuda'],
            define_macros=[('WITH_CUDA', None)],
        )
        if CUDA_HOME
        else CppExtension(
            '_ext.mdconv',
            ['src/mdconv_glue.cpp', 'mdconv_binding.cpp'],
            include_dirs=['src', 'src/cuda'],
            define_macros=[],
        ),
    ],
    cmdclass={"build_ext": BuildExtension},
)
