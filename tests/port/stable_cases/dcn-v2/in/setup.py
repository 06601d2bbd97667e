from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

setup(
    name="DCNv2",
    version="0.4",
    py_modules=["dcn_v2"],
    ext_modules=[
        CUDAExtension(
            name="_ext",
            sources=["src/vision.cpp", "src/dcn_v2_cuda.cu"],
            extra_compile_args={"cxx": ["-O2"], "nvcc": ["-O2"]},
        )
    ],
    cmdclass={"build_ext": BuildExtension},
)
