# Written by `dcnbuild port` from the arguments of 'pool/build.py'.

from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

setup(
    name='pool',
    version="0.0.0",
    packages=find_packages('.'),
    package_dir={"": '.'},
    py_modules=[],
    ext_modules=[
        CppExtension(
            'pool._ext.pool',
            ['pool/src/pool.cpp'],
            include_dirs=['pool/src'],
            define_macros=[],
        ),
    ],
    cmdclass={"build_ext": BuildExtension},
)
