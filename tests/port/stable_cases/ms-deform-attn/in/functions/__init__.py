from .attention import MSDeformAttnFunction
