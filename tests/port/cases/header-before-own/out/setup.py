# Written by `dcnbuild port` from the arguments of 'build.py'.

from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

setup(
    name='rows',
    version="0.0.0",
    packages=find_packages('.'),
    package_dir={"": '.'},
    py_modules=[],
    ext_modules=[
        CppExtension(
            'ops.rows',
            ['src/rows_glue.cpp', 'rows_binding.cpp'],
            include_dirs=['src'],
            define_macros=[],
        ),
    ],
    cmdclass={"build_ext": BuildExtension},
)
