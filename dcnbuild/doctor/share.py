"""A report that can be posted: without names, places and secrets of the user's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dcnbuild.base import plain_yaml

_TABLE = plain_yaml.beside(__file__, "share.yaml")
_SECRETS = tuple((re.compile(pattern), instead) for pattern, instead in _TABLE["secrets"])
_NOBODY = frozenset(_TABLE["nobody"])


def shareable(text: str, env: Mapping[str, str], host: str) -> str:
    """The report or log without home directory, user and host names, tokens, credentials in URLs, addresses."""
    home = env.get("HOME") or env.get("USERPROFILE") or ""
    if len(home) > 3:
        text = re.sub(rf"{re.escape(home.rstrip('/'))}(?![\w-])", "~", text)
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    people = {env.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")}
    names = [*((name, "<user>") for name in people), (host, "<host>"), (host.partition(".")[0], "<host>")]
    for name, instead in names:
        if len(name) > 2 and name.lower() not in _NOBODY:
            text = re.sub(rf"(?<![\w]){re.escape(name)}(?![\w])", instead, text)
    return text
