"""Deformable convolution v1 and v2 for modern PyTorch, and the toolkit that gets it built.

Lazy on purpose (PEP 562): the doctor, the command line and the build backend import this package
where torch is absent or broken, so nothing here may import torch before somebody asks for an operator.
"""

from __future__ import annotations

from dcnbuild._version import __version__
