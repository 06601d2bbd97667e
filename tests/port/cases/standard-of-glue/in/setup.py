from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

setup(
    name="scale",
    ext_modules=[CUDAExtension("scale", ["src/scale.cpp"], extra_compile_args=["-std=c++11"])],
    cmdclass={"build_ext": BuildExtension},
)
