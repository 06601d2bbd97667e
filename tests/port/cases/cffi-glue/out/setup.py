# Written by `dcnbuild port` from the arguments of 'build.py'.

from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

setup(
    name='twice',
    version="0.0.0",
    packages=find_packages('.'),
    package_dir={"": '.'},
    py_modules=[],
    ext_modules=[
        CUDAExtension(
            '_ext.twice',
            ['src/twice_glue.cpp', 'src/twice_kernel.cu', 'twice_binding.cpp'],
            include_dirs=['src'],
            define_macros=[],
        ),
    ],
    cmdclass={"build_ext": BuildExtension},
)
