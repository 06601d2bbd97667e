"""Finds what a compiled package needs: torch, CPython, CUDA, the driver, the C library.

`read` opens a wheel, a library or an installed package. `bounds` looks its needs up in the project's tables. `refusals`
compares them with one machine or one torch. The last two are pure functions.
"""
