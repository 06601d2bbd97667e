"""Says where the project's repository is on the web, for the site's link to it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping


def address(environment: Mapping[str, str], remote: str) -> str:
    """The repository's address: what DCNBUILD_REPOSITORY says, the one of GitHub's job, or git's remote; or "".

    A remote that is no address on the web, such as a directory, is none; a name or a password in it is left out.
    """
    if said := environment.get("DCNBUILD_REPOSITORY"):
        return said
    if name := environment.get("GITHUB_REPOSITORY"):
        return f"{environment.get('GITHUB_SERVER_URL', 'https://github.com')}/{name}"
    match = re.fullmatch(
        r"(?:https?://|ssh://)?(?:[^@/]*@)?([\w.-]+\.\w+)(?::\d+)?[:/]([\w.~/-]+?)(?:\.git)?/?", remote.strip()
    )
    return f"https://{match[1]}/{match[2]}" if match else ""


def here() -> str:
    """The address for this checkout."""
    try:
        done = subprocess.run(["git", "remote", "get-url", "origin"], capture_output=True, text=True, check=False)
    except OSError:  # no git
        return address(os.environ, "")
    return address(os.environ, done.stdout if done.returncode == 0 else "")
