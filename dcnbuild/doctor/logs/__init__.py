"""What went wrong in a build, read from its log: `read_log`, over the rules in `RULES`."""

from __future__ import annotations

from dcnbuild.doctor.logs.reader import read_log
from dcnbuild.doctor.logs.rule import LogRule
from dcnbuild.doctor.logs.rule_table import RULES

__all__ = ["RULES", "LogRule", "read_log"]
