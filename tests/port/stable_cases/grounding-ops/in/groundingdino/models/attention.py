from groundingdino import _C


def sample(value, locations, weights, scale=1.0):
    return _C.sample(value, locations, weights, scale)


def version():
    return _C.get_compiler_version()
