from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="refused",
    ext_modules=[CppExtension("refused", ["csrc/op.cpp"])],
    cmdclass={"build_ext": BuildExtension},
)
