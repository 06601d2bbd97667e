"""Every log rule. On one line of a log the first rule that matches counts."""

from __future__ import annotations

from dcnbuild.doctor.logs import (
    rules_abi,
    rules_architectures,
    rules_cmake,
    rules_compiler,
    rules_cuda,
    rules_gcc,
    rules_headers,
    rules_isolation,
    rules_link,
    rules_load,
    rules_nvcc,
    rules_python,
    rules_removed,
    rules_runtime,
    rules_source,
    rules_system,
    rules_unknown,
    rules_windows,
)
from dcnbuild.doctor.logs.rule import LogRule

_ALL: tuple[LogRule, ...] = (
    *rules_system.RULES,
    *rules_removed.RULES,
    *rules_source.RULES,
    *rules_windows.RULES,
    *rules_headers.RULES,
    *rules_gcc.RULES,
    *rules_compiler.RULES,
    *rules_cuda.RULES,
    *rules_architectures.RULES,
    *rules_nvcc.RULES,
    *rules_isolation.RULES,
    *rules_python.RULES,
    *rules_link.RULES,
    *rules_abi.RULES,
    *rules_load.RULES,
    *rules_runtime.RULES,
    *rules_cmake.RULES,
    *rules_unknown.RULES,
)
#: What tells the cause comes before what is only a symptom of one.
RULES = tuple(sorted(_ALL, key=lambda rule: rule.level))
