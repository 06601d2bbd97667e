import glob
import os

import torch
from setuptools import find_packages, setup
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CppExtension, CUDAExtension


def _cuda_wanted():
    """Whether to build the CUDA code: FORCE_CUDA=1 or =0 decides, else a GPU or a toolkit does."""
    import os

    import torch
    from torch.utils.cpp_extension import CUDA_HOME

    forced = os.environ.get("FORCE_CUDA", "")
    if forced in ("0", "1"):
        return forced == "1"
    return torch.cuda.is_available() or (torch.version.cuda is not None and CUDA_HOME is not None)


def get_extensions():
    here = os.path.dirname(os.path.abspath(__file__))
    sources = glob.glob(os.path.join(here, "src", "*.cpp"))
    sources += glob.glob(os.path.join(here, "src", "cpu", "*.cpp"))
    extension = CppExtension
    define_macros = []
    extra_compile_args = {"cxx": []}
    if _cuda_wanted() and CUDA_HOME is not None:
        extension = CUDAExtension
        sources += glob.glob(os.path.join(here, "src", "cuda", "*.cu"))
        define_macros += [("WITH_CUDA", None)]
        extra_compile_args["nvcc"] = ["-DCUDA_HAS_FP16=1", "-D__CUDA_NO_HALF_OPERATORS__"]
    return [
        extension(
            "MultiScaleAttention_library",
            sources,
            include_dirs=[os.path.join(here, "src")],
            define_macros=[("TORCH_TARGET_VERSION", "0x020a000000000000"), ("USE_CUDA", None), *(define_macros)],
            extra_compile_args=extra_compile_args,
            py_limited_api=True,
        )
    ]


setup(
    name="MultiScaleAttention",
    version="1.0",
    packages=find_packages(),
    ext_modules=get_extensions(),
    cmdclass={"build_ext": BuildExtension},
    py_modules=["MultiScaleAttention"],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
