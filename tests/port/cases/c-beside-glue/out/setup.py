# Written by `dcnbuild port` from the arguments of 'build.py'.

from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

setup(
    name='jagged',
    version="0.0.0",
    packages=find_packages('.'),
    package_dir={"": '.'},
    py_modules=['pool'],
    ext_modules=[
        CppExtension(
            '_ext.jagged',
            ['src/jagged_glue.cpp', 'src/order_glue.cpp', 'jagged_binding.cpp'],
            include_dirs=['src'],
            define_macros=[],
        ),
    ],
    cmdclass={"build_ext": BuildExtension},
)
