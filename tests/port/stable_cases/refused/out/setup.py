from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="refused",
    ext_modules=[CppExtension("refused_library", ["csrc/op.cpp"], define_macros=[("TORCH_TARGET_VERSION", "0x020a000000000000")], py_limited_api=True)],
    cmdclass={"build_ext": BuildExtension},
    py_modules=["refused"],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
