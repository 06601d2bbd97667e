from torch.utils.ffi import create_extension

print "Building", __file__  # as Python 2 does
ffi = create_extension("ops.rows", headers=["src/rows.h"], sources=["src/rows.c"], with_cuda=False)

if __name__ == "__main__":
    ffi.build()
