"""A machine in good order, and for each check a machine that it finds something on: examples.yaml.

docs/findings.md is written from these, and the tests hold the checks to them.
"""

from __future__ import annotations

from typing import Any

from dcnbuild.base import plain_yaml
from dcnbuild.machine.facts import Facts
from dcnbuild.machine.facts_json import facts_of


def _merged(whole: Any, changes: Any) -> Any:
    if not isinstance(whole, dict) or not isinstance(changes, dict):
        return changes
    if "=" in changes:  # in place of the whole object
        return changes["="]
    return {**whole, **{name: _merged(whole.get(name), new) for name, new in changes.items()}}


_TABLE = plain_yaml.beside(__file__, "examples.yaml")
HEALTHY: Facts = facts_of(_TABLE["healthy"])
#: check id → facts that it judges.
EXAMPLES: dict[str, Facts] = {
    id: facts_of(_merged(_TABLE["healthy"], changes)) for id, changes in _TABLE["examples"].items()
}
