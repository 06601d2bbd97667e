from torch.utils.ffi import create_extension

ffi = create_extension("_ext.pool", headers=["src/pool.h"], sources=["src/pool.cpp"], relative_to=__file__)
ffi.build()
