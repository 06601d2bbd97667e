from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CUDAExtension

setup(
    name="DCNv2",
    version="0.4",
    py_modules=["_ext", *(["dcn_v2"])],
    ext_modules=[
        CUDAExtension(
            name="_ext_library",
            sources=["src/vision.cpp", "src/dcn_v2_cuda.cu"],
            extra_compile_args={"cxx": ["-O2"], "nvcc": ["-O2"]},
            define_macros=[("TORCH_TARGET_VERSION", "0x020a000000000000"), ("USE_CUDA", None)],
            py_limited_api=True,
        )
    ],
    cmdclass={"build_ext": BuildExtension},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
