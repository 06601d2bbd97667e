
import torch
from . import _search as _lib

__all__ = []
def _import_symbols(locals):
    for symbol in [name for name in dir(_lib) if not name.startswith('__')]:
        fn = getattr(_lib, symbol)
        if callable(fn):
            locals[symbol] = fn
        else:
            locals[symbol] = fn
        __all__.append(symbol)

_import_symbols(locals())
