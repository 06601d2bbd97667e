"""The errors that the operators and modules raise for an argument that does not fit."""

from __future__ import annotations


class ArgumentError(ValueError, RuntimeError):
    """An argument does not fit; the message names it, what was given and what was expected.

    It is a ValueError, and a RuntimeError too, because torch's, torchvision's and mmcv's operators raise that, and their
    callers catch it.
    """


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument is of a type, dtype or layout that is not taken."""
