from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

setup(
    name="softbend",
    ext_modules=[CUDAExtension("softbend", ["softbend.cu"], extra_compile_args={"nvcc": ["--expt-extended-lambda"]})],
    cmdclass={"build_ext": BuildExtension},
)
