import os

import torch
from torch.utils.ffi import create_extension

sources = ["src/nms.c"]
headers = ["src/nms.h"]
defines = []
extra_objects = []
with_cuda = False

if torch.cuda.is_available():
    print("Including CUDA code.")
    sources += ["src/nms_cuda.c"]
    headers += ["src/nms_cuda.h"]
    defines += [("WITH_CUDA", None)]
    extra_objects = [os.path.join(os.path.dirname(__file__), "src/nms_kernel.cu.o"), "/usr/local/cuda/lib64/libcudart.so"]
    with_cuda = True

ffi = create_extension(
    "_ext.nms",
    headers=headers,
    sources=sources,
    define_macros=defines,
    relative_to=__file__,
    with_cuda=with_cuda,
    extra_objects=extra_objects,
)
ffi.build()
