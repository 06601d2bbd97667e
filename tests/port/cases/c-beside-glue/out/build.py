import sys
from torch.utils.ffi import create_extension

print('Building', end=' ', file=sys.stderr)
print('no CUDA code: %s' % sys.argv, file=sys.stderr)
ffi = create_extension('_ext.jagged', headers=['src/jagged.h'], sources=['src/jagged.c', 'src/order.c'])
ffi.build()
