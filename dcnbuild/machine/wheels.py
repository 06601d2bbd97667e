"""Which release of a package on PyPI is the first with a wheel for a Python: older ones are compiled there.

Asks wheels.yaml; "" stands for what it does not have.
"""

from __future__ import annotations

import re
from typing import Any

from dcnbuild.base import plain_yaml
from dcnbuild.base.versions import numbers


def _row(package: str) -> Any:
    name = re.sub(r"[-_.]+", "-", package).lower()
    return plain_yaml.beside(__file__, "wheels.yaml").get(name, {})


def newer(package: str, release: str, python: str) -> str:
    """The requirement that has a wheel, where a release is too old for one, or unknown: "1.24.4" → "numpy>=1.26.0"."""
    first = str(_row(package).get(python, ""))
    return f"{package}>={first}" if first and (not release or numbers(release) < numbers(first)) else ""


def last_python(package: str, release: str) -> str:
    """The newest Python that a release has a wheel for: ("numpy", "1.24.4") → "3.11"."""
    having = [python for python, first in _row(package).items() if numbers(str(first)) <= numbers(release)]
    return max(having, key=numbers, default="")


def taken(package: str, torch: str, text: str) -> bool:
    """Whether pip, by its output, took a wheel of a package from the page for this torch: the same would come again."""
    minor, name = re.match(r"\d+\.\d+", torch), re.sub("[-_]", "[-_]", package)
    fetched = rf"(?i)torch-{minor[0]}[^\s/]*/{name}-[^\s/]+\.whl" if minor and package else "(?!)"
    return re.search(fetched, text) is not None
