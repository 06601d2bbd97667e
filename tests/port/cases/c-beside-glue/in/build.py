import sys
from torch.utils.ffi import create_extension

print >>sys.stderr, 'Building',
print >>sys.stderr, (
    'no CUDA code: %s' % sys.argv)
ffi = create_extension('_ext.jagged', headers=['src/jagged.h'], sources=['src/jagged.c', 'src/order.c'])
ffi.build()
