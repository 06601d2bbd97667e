# Written by `dcnbuild port` from the arguments of 'build.py'.

from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

setup(
    name='ranks',
    version="0.0.0",
    packages=find_packages('.'),
    package_dir={"": '.'},
    py_modules=[],
    ext_modules=[
        CppExtension(
            '_ext.ranks',
            ['src/rank_glue.cpp', 'ranks_binding.cpp'],
            include_dirs=['src'],
            define_macros=[],
            extra_link_args=['-fopenmp'],
            extra_compile_args={'cxx': ['-fopenmp'], 'nvcc': []},
        ),
    ],
    cmdclass={"build_ext": BuildExtension},
)
