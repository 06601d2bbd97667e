"""What is known of libraries and symbols: which package brings a library, which library has a symbol."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Library of CUDA → its package on PyPI, without the ending -cuNN, and the CUDA of each version of it.
#: Source: the RECORD files of the nvidia-* wheels.
_NVIDIA: dict[str, tuple[str, dict[str, int]]] = {
    "libcudart": ("nvidia-cuda-runtime", {"10.0": 10, "10.1": 10, "10.2": 10, "9.0": 9, "9.2": 9}),
    "libcublas": ("nvidia-cublas", {}),
    "libcublasLt": ("nvidia-cublas", {}),
    "libnvblas": ("nvidia-cublas", {}),
    "libcusparse": ("nvidia-cusparse", {"12": 12}),
    "libcusparseLt": ("nvidia-cusparselt", {"0": 12}),
    "libcusolver": ("nvidia-cusolver", {"10": 11, "11": 12, "12": 13}),
    "libcusolverMg": ("nvidia-cusolver", {"11": 12, "12": 13}),
    "libcufft": ("nvidia-cufft", {"10": 11, "11": 12, "12": 13}),
    "libcufftw": ("nvidia-cufft", {"10": 11, "11": 12, "12": 13}),
    "libcurand": ("nvidia-curand", {"10": 12}),
    "libnvrtc": ("nvidia-cuda-nvrtc", {}),
    "libnvrtc-builtins": ("nvidia-cuda-nvrtc", {}),
    "libnvJitLink": ("nvidia-nvjitlink", {}),
    "libcupti": ("nvidia-cuda-cupti", {}),
    "libnvToolsExt": ("nvidia-nvtx", {"1": 12}),
    "libnvtx3interop": ("nvidia-nvtx", {"1": 13}),
    "libcufile": ("nvidia-cufile", {"0": 12}),
    "libnccl": ("nvidia-nccl", {"2": 12}),
    "libnvshmem_host": ("nvidia-nvshmem", {"3": 12}),
    "libnvjpeg": ("nvidia-nvjpeg", {}),
    "libcudss": ("nvidia-cudss", {"0": 12}),
}
#: Other libraries → their package of Debian.
_DEBIAN = {
    "libGL.so": "libgl1", "libgthread": "libglib2.0-0", "libglib-2": "libglib2.0-0", "libEGL": "libegl1",
    "libGLX": "libglx0", "libOpenGL": "libopengl0", "libOSMesa": "libosmesa6", "libGLEW": "libglew2.2",
    "libgomp": "libgomp1", "libomp.": "libomp5", "libiomp5": "libomp5", "libstdc++": "libstdc++6", "libgcc_s": "libgcc-s1",
    "libopenblas": "libopenblas0", "liblapack": "liblapack3", "libblas": "libblas3", "libgfortran": "libgfortran5",
    "libcrypt.": "libcrypt1", "libssl": "libssl3", "libcrypto": "libssl3", "libX11": "libx11-6", "libXext": "libxext6",
    "libSM": "libsm6", "libICE": "libice6", "libXrender": "libxrender1", "libxcb": "libxcb1", "libXi": "libxi6",
    "libjpeg": "libjpeg62-turbo", "libpng16": "libpng16-16", "libtiff": "libtiff6", "libwebp": "libwebp7",
    "libsndfile": "libsndfile1", "libsox": "libsox3", "libportaudio": "libportaudio2", "libasound": "libasound2",
    "libavcodec": "ffmpeg", "libavformat": "ffmpeg", "libavutil": "ffmpeg", "libavdevice": "ffmpeg", "libavfilter": "ffmpeg",
    "libswscale": "ffmpeg", "libswresample": "ffmpeg", "libaio": "libaio1", "libnuma": "libnuma1", "libibverbs": "libibverbs1",
    "librdmacm": "librdmacm1", "libmpi": "libopenmpi3", "libopen-rte": "libopenmpi3", "libucp": "libucx0", "libhwloc": "libhwloc15",
    "libtbb": "libtbb12", "libprotobuf": "libprotobuf-dev", "libboost": "libboost-all-dev", "libopencv": "libopencv-dev",
    "libgsl": "libgsl27", "libffi": "libffi8", "libz.": "zlib1g", "libzstd": "libzstd1", "liblzma": "liblzma5",
    "libbz2": "libbz2-1.0", "libsqlite3": "libsqlite3-0", "libreadline": "libreadline8", "libncurses": "libncurses6",
    "libtinfo": "libtinfo6", "libexpat": "libexpat1", "libxml2": "libxml2", "libfontconfig": "libfontconfig1",
    "libfreetype": "libfreetype6", "libusb-1": "libusb-1.0-0", "libudev": "libudev1", "libvulkan": "libvulkan1",
    "libOpenCL": "ocl-icd-libopencl1", "libtcmalloc": "libgoogle-perftools4", "libjemalloc": "libjemalloc2",
    "libnsl": "libnsl2", "libtcl": "libtcl8.6", "libtk": "libtk8.6", "libnvinfer": "libnvinfer10", "libhdf5": "libhdf5-dev",
}  # fmt: skip
#: What comes with which package of PyPI.
_PYPI = {
    "libmkl": "mkl", "libiomp5": "intel-openmp", "libsycl": "intel-sycl-rt", "libsvml": "intel-cmplr-lib-rt",
    "libnvinfer": "tensorrt", "libtbb": "tbb", "libimf": "intel-cmplr-lib-rt", "libtriton": "triton",
}  # fmt: skip
_DRIVER = re.compile(r"lib(?:cuda|nvidia-ml|nvidia-ptxjitcompiler|nvidia-\w+|nvcuvid|nvoptix)\.so")
_TORCH = re.compile(
    r"lib(?:c10|c10_cuda|torch|torch_cpu|torch_cuda|torch_cuda_cu|torch_cuda_cpp|torch_python|shm"
    r"|caffe2|ATen|caffe2_gpu|torch_global_deps|caffe2_nvrtc|torch_cuda_linalg|torch_nvshmem)\."
)


@dataclass(frozen=True)
class Library:
    """Where a shared library comes from.

    Attributes:
        name: without directory, "libcudnn.so.9".
        origin: "driver", "torch", "nvidia", "pypi", "debian" or "".
        package: of PyPI or Debian.
        cuda: the major version of the CUDA that it belongs to; None if that is open.
    """

    name: str
    origin: str
    package: str = ""
    cuda: int | None = None


def library(path: str) -> Library:
    """What is known of a shared library, e.g. "libcublas.so.12"."""
    name = re.split(r"[/\\]", path)[-1]
    if _DRIVER.match(name):
        return Library(name, "driver")
    if _TORCH.match(name):
        return Library(name, "torch", "torch")
    stem, _, version = name.partition(".so.")
    if stem.startswith("libcudnn"):
        major = version.split(".")[0]
        package = "nvidia-cudnn-cu12"
        return Library(name, "nvidia", package + ("<9" if major == "8" else ">=9" if major == "9" else ""))
    if stem in _NVIDIA:
        package, versions = _NVIDIA[stem]
        major = versions.get(version, versions.get(version.split(".")[0]))
        cuda = major or (int(version.split(".")[0]) if version[:1].isdigit() else None)
        ending = f"-cu{cuda}" if cuda and (cuda < 13 or stem in ("libcusparseLt", "libnccl", "libnvshmem_host")) else ""
        return Library(name, "nvidia", package + ending, cuda)
    for origin, table in (("pypi", _PYPI), ("debian", _DEBIAN)):
        for start, package in table.items():
            if name.startswith(start):
                return Library(name, origin, package)
    return Library(name, "")


#: Symbol → the library that has it, most special first.
_SYMBOLS = tuple(
    (re.compile(pattern), library)
    for pattern, library in (
        (r"_*nvJitLink", "libnvJitLink.so"),
        (r"_?_?nvrtc[A-Z_]", "libnvrtc.so"),
        (r"p?nccl[A-Z]", "libnccl.so.2"),
        (r"cudnn[A-Z]|_ZN5cudnn", "libcudnn.so"),
        (r"cublasLt[A-Z]", "libcublasLt.so"),
        (r"cublas[A-Z]", "libcublas.so"),
        (r"cusparseLt[A-Z]", "libcusparseLt.so.0"),
        (r"cusparse[A-Z]", "libcusparse.so"),
        (r"cusolver[A-Z]", "libcusolver.so"),
        (r"cufft[A-Z]", "libcufft.so"),
        (r"curand[A-Z]", "libcurand.so"),
        (r"cupti[A-Z]", "libcupti.so"),
        (r"cuFile[A-Z]", "libcufile.so.0"),
        (r"nvshmem\w*_", "libnvshmem_host.so.3"),
        (r"nvml[A-Z]", "libnvidia-ml.so.1"),
        (r"nvtx[A-Z]", "libnvToolsExt.so.1"),
        (r"_*cuda[A-Z]", "libcudart.so"),
        (r"cu[A-Z][A-Za-z]+(?:_v\d)?$", "libcuda.so.1"),
        (r"iJIT_", "MKL"),
        (r"mkl_|MKL_|cblas_|LAPACKE_", "MKL"),
        (r"GOMP_|omp_", "libgomp.so.1"),
        (r"__kmpc", "libiomp5.so"),
        (r"(?:MPI|ompi|PMPI)_", "libmpi.so"),
        (r"uc[pst]_", "libucp.so.0"),
        (r"XML_", "libexpat.so.1"),
        (r"ffi_", "libffi.so"),
        (r"(?:av|sws|swr)_|avcodec_|avformat_", "libavcodec.so"),
        (r"(?:SSL|EVP|OPENSSL|CRYPTO|X509|ERR)_", "libssl.so"),
        (r"sqlite3", "libsqlite3.so.0"),
        (r"jpeg_|jsimd", "libjpeg.so"),
        (r"png_", "libpng16.so.16"),
        (r"TIFF", "libtiff.so"),
        (r"FT_", "libfreetype.so.6"),
        (r"g_(?:object|type|main|malloc|free|once)", "libglib-2.0.so.0"),
        (r"_ZN3tbb", "libtbb.so"),
        (r"_ZN2cv", "libopencv"),
        (r"_ZN6google8protobuf", "libprotobuf.so"),
        (r"_ZNK?St|_ZSt|__cxa_|_ZTISt|_ZdlPv", "libstdc++.so.6"),
    )
)


def library_of(symbol: str) -> str:
    """The library that has a symbol: "ncclCommResume" → "libnccl.so.2"; "" if that is not known."""
    return next((library for pattern, library in _SYMBOLS if pattern.match(symbol)), "")


_TORCH_SYMBOL = re.compile(
    r"\?[\w@$]*@(?:c10|at|torch|caffe2)@|_?_ZT?[VIS]?N?K?\d?(?:2at|3c10|5torch|6caffe2)|\w*(?:3c10|2at\d|5torch)\d|aoti_|THP|torch_"
)


def of_torch(symbol: str) -> bool:
    """Whether a symbol belongs to torch's own libraries."""
    return bool(_TORCH_SYMBOL.match(symbol))


def demangle(symbol: str) -> str:
    """The name in a mangled symbol, without its arguments: "_ZNK3c107SymBool5guardEv" → "c10::SymBool::guard"."""
    found = re.match(r"_?_Z(?:T[VIS])?(N[KVrR]*)?(.*)", symbol)
    if found is None:
        return symbol
    rest, parts = found[2], []
    while rest:
        if rest.startswith("St"):
            parts.append("std")
            rest = rest[2:]
            continue
        length = re.match(r"(\d{1,3})", rest)
        if length is None:
            break
        size = int(length[1])
        name = rest[len(length[1]) : len(length[1]) + size]
        if len(name) < size:
            break
        parts.append(name)
        rest = rest[len(length[1]) + size :]
        if not found[1]:
            break
    return "::".join(parts) or symbol
