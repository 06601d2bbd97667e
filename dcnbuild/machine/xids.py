"""What the numbers mean by which NVIDIA's driver reports errors in the log of the kernel; asks xids.yaml."""

from __future__ import annotations

from typing import Any

from dcnbuild.base import plain_yaml


def of(number: str) -> Any:
    """The row of an Xid: whose fault it is (`of`), and what it says (`says`); {} for one that the table lacks."""
    return plain_yaml.beside(__file__, "xids.yaml").get(number, {})
