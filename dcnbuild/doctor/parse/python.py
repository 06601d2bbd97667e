"""Shapes of Python's own messages: modules, names, attributes, and exceptions of any name."""

from __future__ import annotations

from dcnbuild.doctor.parse.patterns import QUOTE as Q
from dcnbuild.doctor.parse.record import Shape

_MODULE = rf"{Q}?(?P<module>[A-Za-z_][\w.]{{0,120}}){Q}?"

SHAPES = (
    Shape("missing-module", "python", "No module named", rf"No module named {_MODULE}"),
    Shape(
        "missing-module",
        "python",
        "Cannot import",
        rf"BackendUnavailable.{{0,40}}Cannot import {_MODULE}",
    ),
    Shape(
        "missing-module",
        "python",
        "is not a package",
        rf"No module named {_MODULE}; .{{1,80}} is not a package",
    ),
    Shape(
        "missing-import",
        "python",
        "cannot import name",
        rf"cannot import name {Q}?(?P<name>\w{{1,120}}){Q}?(?: from (?P<partial>partially initialized module )?{_MODULE})?"
        r"(?: \(most likely due to a circular import\))?(?: \((?P<path>[^()\n]{1,300})\))?",
    ),
    Shape(
        "missing-attribute",
        "python",
        "has no attribute",
        rf"module {_MODULE} has no attribute {Q}(?P<name>\w{{1,120}})",
    ),
    Shape(
        "missing-attribute",
        "python",
        "has no attribute",
        rf"(?:type object )?{Q}(?P<owner>[\w.]{{1,120}}){Q}(?: object)? has no attribute {Q}(?P<name>\w{{1,120}})",
    ),
    Shape(
        "missing-attribute",
        "python",
        "has no attribute",
        rf"(?P<module>torch\.ops\.\w+)|{Q}_OpNamespace{Q} {Q}(?P<owner>\w+){Q} object has no attribute {Q}(?P<name>\w+)",
    ),
    Shape(
        "undefined-name",
        "python",
        "is not defined",
        rf"NameError: (?:global |free variable )?(?:name )?{Q}(?P<name>\w{{1,120}}){Q}",
    ),
    Shape(
        "missing-operator",
        "torch",
        "does not exist",
        r"operator (?P<module>\w{1,60})::(?P<name>\w{1,80}) does not exist",
    ),
    Shape(
        "missing-operator",
        "torch",
        "Could not run",
        r"Could not run '(?P<module>\w{1,60})::(?P<name>[\w.]{1,80})' with arguments from the '(?P<backend>\w+)' backend",
    ),
    Shape(
        "missing-operator",
        "torch",
        "No such operator",
        r"No such operator (?P<module>\w{1,60})::(?P<name>\w{1,80})",
    ),
    Shape(
        "missing-dtype",
        "torch",
        "not implemented for",
        rf"{Q}(?P<name>[\w:<>, ]{{1,120}}){Q} not implemented for {Q}(?P<type>\w{{1,40}})",
    ),
    Shape(
        "missing-command",
        "python",
        "o such file",
        r"(?:FileNotFoundError|NotADirectoryError|OSError).{0,60}(?:No such file or directory|Not a directory)?:? ?[bu]?'(?P<name>(?:[^'\n]{0,300}/)?[\w+.-]{1,60})'",
    ),
    Shape(
        "missing-command",
        "shell",
        "not found",
        r"(?:^|[\s/])(?:ba|da|z|k|a)?sh: (?:line )?(?:\d+: )?(?:(?P<path>\S{1,300}/)?(?P<name>[\w+.-]{1,60})): (?:command )?not found",
    ),
    Shape(
        "missing-command",
        "shell",
        "ommand not found",
        r"command not found: (?P<name>[\w+./-]{1,120})",
    ),
    Shape(
        "missing-command",
        "shell",
        "ommand not found",
        r"(?:^|[\s>])(?P<name>[\w+./-]{1,120}): command not found",
    ),
    Shape(
        "missing-command",
        "shell",
        "not found in $PATH",
        r"exec: \"(?P<name>[\w+./-]{1,120})\": executable file not found in \$PATH",
    ),
    Shape(
        "missing-command",
        "shell",
        "Unknown command",
        r"fish: Unknown command:? (?P<name>[\w+./-]{1,120})",
    ),
    Shape(
        "missing-command",
        "Windows",
        "is not recognized",
        rf"{Q}(?P<name>[\w+.\\-]{{1,120}}){Q} is not recognized as an internal",
    ),
    Shape(
        "missing-command",
        "Windows",
        "is not recognized",
        r"[Tt]he term '(?P<name>[^'\n]{1,120})' is not recognized",
    ),
    Shape(
        "missing-command", "", "nable to execute", r"unable to execute '(?P<name>[^'\n]{1,300})'"
    ),
    Shape(
        "missing-command",
        "",
        "failed: No such",
        r"command '(?P<name>[^'\n]{1,300})' failed: No such",
    ),
    Shape(
        "missing-command",
        "",
        "annot find command",
        r"[Cc]annot find command '(?P<name>[\w+.-]{1,60})'",
    ),
    Shape(
        "missing-command",
        "Windows",
        "CreateProcess failed",
        r"CreateProcess failed: The system cannot find the file specified",
    ),
    # how a program ended: where there is no traceback, by the usual endings of exceptions' names
    *(
        Shape(
            "exception",
            "python",
            ending,
            rf"^(?P<name>(?:[A-Za-z_]\w{{0,60}}\.){{0,8}}[A-Z]\w{{0,60}}{ending})(?:: ?(?P<text>.{{0,400}})|$)",
        )
        for ending in (
            "Error",
            "Exception",
            "Exit",
            "Warning",
            "Failure",
            "Unavailable",
            "Impossible",
        )
    ),
)
