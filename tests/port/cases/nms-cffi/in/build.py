from torch.utils.ffi import create_extension
ffi = create_extension('_ext.nms', headers=['src/nms.h', 'src/nms_cuda.h'], sources=['src/nms.c', 'src/nms_cuda.c'],
    define_macros=[('WITH_CUDA', None)], relative_to=__file__, with_cuda=True, extra_objects=['src/cuda/nms_kernel.cu.o'])
ffi.build()
