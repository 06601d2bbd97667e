"""The poolings in plain torch, under their earlier name; they are in `dcnbuild.ops.reference.deform_pool`."""

from __future__ import annotations

from dcnbuild.ops.reference.deform_pool import Pooling, backward, counts, forward

__all__ = ["Pooling", "backward", "counts", "forward"]
