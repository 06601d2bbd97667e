import os

import torch
from torch.utils.ffi import create_extension

sources = ["src/mdconv.c"]
headers = ["src/mdconv.h"]
defines = []
extra_objects = []
with_cuda = False

if torch.cuda.is_available():
    print("Including CUDA code.")
    sources += ["src/mdconv_cuda.c"]
    headers += ["src/mdconv_cuda.h"]
    defines += [("WITH_CUDA", None)]
    extra_objects += ["src/cuda/mdconv_im2col_cuda.cu.o"]
    with_cuda = True

here = os.path.dirname(os.path.realpath(__file__))
sources = [os.path.join(here, name) for name in sources]
headers = [os.path.join(here, name) for name in headers]
extra_objects = [os.path.join(here, name) for name in extra_objects]

ffi = create_extension(
    "_ext.mdconv",
    headers=headers,
    sources=sources,
    define_macros=defines,
    relative_to=__file__,
    with_cuda=with_cuda,
    extra_objects=extra_objects,
    extra_compile_args=["-std=c99"],
)

if __name__ == "__main__":
    ffi.build()
