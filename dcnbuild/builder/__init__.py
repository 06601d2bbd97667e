"""Compiles the kernels: one set of commands for both routes, ahead of time and just in time."""
