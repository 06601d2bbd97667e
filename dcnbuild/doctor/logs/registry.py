"""Every log rule. On one line of a log the first rule that matches counts."""

from __future__ import annotations

from dcnbuild.doctor.logs import (
    faults,
    rules_api,
    rules_architectures,
    rules_binaries,
    rules_compiler,
    rules_cuda,
    rules_headers,
    rules_nvcc,
    rules_python,
    rules_runtime,
    rules_source,
    rules_system,
    rules_unknown,
    rules_windows,
)
from dcnbuild.doctor.logs.rule import LogRule

_ALL: tuple[LogRule, ...] = (
    *rules_system.RULES,
    *rules_windows.RULES,
    *rules_api.RULES,
    *faults.RULES,
    *rules_source.RULES,
    *rules_headers.RULES,
    *rules_compiler.RULES,
    *rules_cuda.RULES,
    *rules_architectures.RULES,
    *rules_nvcc.RULES,
    *rules_python.RULES,
    *rules_binaries.RULES,
    *rules_runtime.RULES,
    *rules_unknown.RULES,
)
#: What tells the cause comes before what is only a symptom of one.
RULES = tuple(sorted(_ALL, key=lambda rule: rule.level))
