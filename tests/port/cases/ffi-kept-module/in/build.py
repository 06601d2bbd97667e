import os

from torch.utils.ffi import create_extension

flags = ["-std=c++11", "-DBEAM_ENABLE_GPU"]
where = os.environ.get("BEAM_PATH", "../build")
ffi = create_extension(
    "beam._ext.search",
    package=True,
    language="c++",
    headers=["beam/src/search.h"],
    sources=["beam/src/search.cpp"],
    libraries=["beamcore"],
    library_dirs=[os.path.realpath(where)],
    include_dirs=["include"],
    with_cuda=True,
    extra_compile_args=flags,
)

if __name__ == "__main__":
    ffi.build()
