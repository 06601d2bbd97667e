"""Every log rule. On one line of a log the first rule that matches counts."""

from __future__ import annotations

from dcnbuild.doctor.logs.table import read

#: What tells the cause comes before what is only a symptom of one.
RULES = tuple(sorted(read(), key=lambda rule: rule.level))
