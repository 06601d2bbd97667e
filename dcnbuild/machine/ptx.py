"""Which GPU architectures have an instruction of PTX. Reads ptx.yaml."""

from __future__ import annotations

import re

from dcnbuild.base import plain_yaml
from dcnbuild.machine.versions import number


def home_of(instruction: str, name: str) -> str:
    """The architecture that has a PTX instruction: "sm_120a" for one of sm_120, else the first of the others."""
    rows = plain_yaml.beside(__file__, "ptx.yaml").items()
    homes = next((some for like, some in rows if re.search(like, instruction)), ())
    if number(name) in homes and not name.endswith(("a", "f")):
        return f"sm_{number(name)}a"
    return f"sm_{homes[0]}" if homes else ""
