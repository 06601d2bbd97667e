"""Packages that have to be of one release, since they share what no release promises to keep. Reads families.yaml."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from dcnbuild.base import plain_yaml
from dcnbuild.base.versions import numbers


def apart(there: Mapping[str, str], fails: Collection[str]) -> dict[str, str]:
    """Two installed packages of a family that are of different releases, where one of it fails.

    Its `lead`, the `one` that the others follow and the `other` with their releases, and what is `wanted` of that:
    ({"jaxlib": "0.4.35", "jax-cuda12-plugin": "0.5.0"}, ["jaxlib"]) → jaxlib 0.4.35, jax-cuda12-plugin==0.4.35.*.
    """
    for lead, row in plain_yaml.beside(__file__, "families.yaml").items():
        family = [
            name for name in sorted(there, key=lambda name: (name != lead, name)) if re.fullmatch(row["names"], name)
        ]
        of = {name: numbers(there[name])[: row["parts"]] for name in family}
        odd = next((name for name in family if of[name] != of[family[0]]), "")
        if odd and any(re.fullmatch(row["names"], name.replace("_", "-")) for name in fails):
            wanted = ".".join(map(str, of[family[0]]))
            one, other = (f"{name} {there[name]}" for name in (family[0], odd))
            return {"lead": lead, "one": one, "other": other, "wanted": f"{odd}=={wanted}.*"}
    return {}
