from torch.utils.ffi import create_extension

ffi = create_extension(
    name="_ext.ctc", language="c++", headers=["src/ctc.h"], sources=["src/ctc.cpp"], extra_compile_args=["-std=c++11"]
)
ffi.build()
