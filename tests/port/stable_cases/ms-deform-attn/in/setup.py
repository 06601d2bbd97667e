import glob
import os

import torch
from setuptools import find_packages, setup
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CppExtension, CUDAExtension


def get_extensions():
    here = os.path.dirname(os.path.abspath(__file__))
    sources = glob.glob(os.path.join(here, "src", "*.cpp"))
    sources += glob.glob(os.path.join(here, "src", "cpu", "*.cpp"))
    extension = CppExtension
    define_macros = []
    extra_compile_args = {"cxx": []}
    if torch.cuda.is_available() and CUDA_HOME is not None:
        extension = CUDAExtension
        sources += glob.glob(os.path.join(here, "src", "cuda", "*.cu"))
        define_macros += [("WITH_CUDA", None)]
        extra_compile_args["nvcc"] = ["-DCUDA_HAS_FP16=1", "-D__CUDA_NO_HALF_OPERATORS__"]
    return [
        extension(
            "MultiScaleAttention",
            sources,
            include_dirs=[os.path.join(here, "src")],
            define_macros=define_macros,
            extra_compile_args=extra_compile_args,
        )
    ]


setup(
    name="MultiScaleAttention",
    version="1.0",
    packages=find_packages(),
    ext_modules=get_extensions(),
    cmdclass={"build_ext": BuildExtension},
)
