"""A report that can be posted: without names, places and secrets of the user's."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Tokens by the forms that their issuers document, and values of what is called a secret.
_SECRETS = (
    (re.compile(r"(?<=://)[^/\s@'\"]+(?=@)"), "…"),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|pypi-|sk-|xox[abprs]-)[\w-]{10,}"), "…"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "…"),
    (re.compile(r"\beyJ[\w-]{10,}\.[\w-]+\.[\w-]*"), "…"),
    (
        re.compile(
            r"((?:token|secret|passw(?:or)?d|api[_-]?key|access[_-]?key|credentials?)[\w-]*\"?\s*[=:]\s*\"?)[^\s\"'&,;]+",
            re.IGNORECASE,
        ),
        r"\1…",
    ),
    (re.compile(r"(authorization:?\s+(?:basic|bearer|token)\s+)\S+", re.IGNORECASE), r"\1…"),
    (re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"), "<mail>"),
    (
        re.compile(r"(?<=/home/)[^/\s:'\"]+|(?<=/Users/)[^/\s:'\"]+|(?<=\\Users\\)[^\\\s:'\"]+"),
        "<user>",
    ),
    (
        re.compile(r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b(?!\.)"),
        "<address>",
    ),
)
#: Names that say nothing about anybody.
_NOBODY = {
    "root",
    "user",
    "runner",
    "ubuntu",
    "admin",
    "localhost",
    "linux",
    "torch",
    "cuda",
    "python",
    "lib",
    "usr",
}


def shareable(text: str, env: Mapping[str, str], host: str) -> str:
    """The text without home directory, user and host names, tokens, credentials in URLs, addresses.

    Args:
        text: a report or a log.
        env: the environment variables, of which HOME, USER and the like count.
        host: this machine's name.
    """
    home = env.get("HOME") or env.get("USERPROFILE") or ""
    if len(home) > 3:
        text = re.sub(rf"{re.escape(home.rstrip('/'))}(?![\w-])", "~", text)
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    people = {env.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")}
    names = [
        *((name, "<user>") for name in people),
        (host, "<host>"),
        (host.partition(".")[0], "<host>"),
    ]
    for name, instead in names:
        if len(name) > 2 and name.lower() not in _NOBODY:
            text = re.sub(rf"(?<![\w]){re.escape(name)}(?![\w])", instead, text)
    return text
