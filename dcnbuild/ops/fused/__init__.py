"""The fused CUDA route of deform_conv2d: an implicit matrix product, whose columns never lie in memory.

`route.py` says which calls it serves (pure functions, and DCNBUILD_FUSED), `register.py` puts it before the chunked
CUDA kernels, `launch.py` makes a call's launches, `configs.py` sizes their tiles. `kernels.py` and `gradients.py` are
the kernels; only they import triton, and only the first call does.
"""
