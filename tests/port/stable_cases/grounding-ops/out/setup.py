import glob
import os

from setuptools import find_packages, setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

here = os.path.dirname(os.path.abspath(__file__))
csrc = os.path.join("groundingdino", "models", "csrc")
sources = glob.glob(os.path.join(csrc, "*.cpp")) + glob.glob(os.path.join(csrc, "attention", "*.cpp"))

setup(
    name="groundingdino",
    version="0.1.0",
    packages=find_packages(),
    ext_modules=[
        CppExtension("groundingdino._C_library", sources, include_dirs=[os.path.join(here, csrc)], define_macros=[("TORCH_TARGET_VERSION", "0x020a000000000000")], py_limited_api=True),
    ],
    cmdclass={"build_ext": BuildExtension},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
