"""Builds and tests dcnbuild for aarch64 on a machine that is none: an aarch64 Python under qemu, a compiler of this
machine.
"""
