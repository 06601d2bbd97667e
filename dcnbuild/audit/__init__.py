"""What a compiled package is bound to: torch, CPython, CUDA, the driver, the C library.

`read` opens a wheel, a library or an installed package; `bounds` says what it needs, from the project's tables;
`refusals` says what one machine, or one torch, would refuse. Both are pure functions.
"""
