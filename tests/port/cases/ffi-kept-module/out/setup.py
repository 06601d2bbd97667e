# Written by `dcnbuild port` from the arguments of 'build.py'.

from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

setup(
    name='search',
    version="0.0.0",
    packages=find_packages('.'),
    package_dir={"": '.'},
    py_modules=[],
    ext_modules=[
        CUDAExtension(
            'beam._ext.search._search',
            ['beam/src/search.cpp', 'search_binding.cpp'],
            include_dirs=['beam/src', 'include'],
            define_macros=[('BEAM_ENABLE_GPU', None)],
            libraries=['beamcore'],
            library_dirs=['../build'],
        ),
    ],
    cmdclass={"build_ext": BuildExtension},
)
