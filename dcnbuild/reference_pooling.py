"""The poolings in plain torch, under the name that they had before they moved to `dcnbuild.ops.reference`."""

from __future__ import annotations

from dcnbuild.ops.reference.deform_pool import Pooling, backward, counts, forward

__all__ = ["Pooling", "backward", "counts", "forward"]
