"""Compiles the kernels. Both routes, ahead of time and just in time, use the same commands."""
