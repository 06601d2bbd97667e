"""What people ask `--torch` for: a version, a specifier, a CUDA tag, `latest`, or two of these."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from dcnbuild.machine.compatibility import TorchRelease, numbers, table

EXPECTED = "expected e.g. 2.5.1, 2.5, '>=2.4,<2.8', 2.5.1+cu121, cu126, cpu or latest"
_ANY = {"latest", "newest", "stable", "any"}
_TAG = re.compile(r"cu(?:da)?[-= ]?(\d{1,2})\.?(\d)", re.IGNORECASE)
_VERSION = re.compile(r"v?(\d{1,4}(?:\.\d{1,5}){0,2})(?:\.\*)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Wish:
    """Which torch is meant.

    Attributes:
        specifier: as PEP 440 writes it, "==2.5.*"; "" for any version.
        tag: "cu126" or "cpu"; None for any.
    """

    specifier: str = ""
    tag: str | None = None

    def __str__(self) -> str:
        version = f"torch {self.specifier}" if self.specifier else "the newest torch"
        if self.tag is None:
            return version
        return f"{version} {'without CUDA' if self.tag == 'cpu' else f'for CUDA {self.cuda}'}"

    @property
    def cuda(self) -> str | None:
        """The wanted CUDA version, "12.6"."""
        return f"{self.tag[2:-1]}.{self.tag[-1]}" if self.tag and self.tag != "cpu" else None

    def versions(self, release: TorchRelease) -> list[str]:
        """The versions of a release that are meant, newest first."""
        meant = _satisfying(self.specifier)
        return [item for item in reversed(release.versions) if item in meant]

    def unknown(self) -> str | None:
        """Why no wheel of the table can be meant: one sentence; None if some can."""
        if self == Wish():
            return None
        matching = [row for row in table().torch if self.versions(row)]
        if not matching:
            return f"{self._never()}; {self._nearest()}"
        tags = {f"cu{cuda.replace('.', '')}" for row in matching for cuda in row.variants} | {"cpu"}
        if self.tag is not None and self.tag not in tags:
            return f"there is no {self} in the table of wheels; there are {', '.join(sorted(tags))}."
        return None

    def _version(self) -> str | None:
        match = re.fullmatch(r"==([\d.]+?)(?:\.\*)?", self.specifier)
        return match[1] if match else None

    def _never(self) -> str:
        version = self._version()
        if version is None:
            return f"no torch of the table of wheels is {self.specifier}"
        first, last = table().torch[0].versions[0], table().torch[-1].newest
        if numbers(first)[: len(numbers(version))] <= numbers(version) <= numbers(last):
            return f"there never was a torch {version}"
        return f"there is no torch {version} in the table of wheels"

    def _nearest(self) -> str:
        """What there is instead."""
        rows, version = table().torch, self._version()
        wanted = numbers(version or "")
        same_major = [row for row in rows if numbers(row.release)[:1] == wanted[:1]]
        release = next((row for row in rows if numbers(row.release) == wanted[:2]), None)
        if release is not None:
            return f"of {release.release} there are {', '.join(release.versions)}."
        if not same_major or same_major[-1] == rows[-1]:
            return f"the newest is {rows[-1].newest}."
        return f"the last {wanted[0]}.x is {same_major[-1].newest}."


@cache
def _satisfying(specifier: str) -> frozenset[str]:
    """The versions of the table that a specifier allows."""
    versions = [version for row in table().torch for version in row.versions]
    if not specifier:
        return frozenset(versions)
    from packaging.specifiers import SpecifierSet  # costs its import only where it is needed

    return frozenset(SpecifierSet(specifier).filter(versions))


def parse_wish(text: str) -> Wish:
    """What a text asks for. Raises ValueError with what was expected for anything else."""
    rest = re.sub(r"^(?:py)?torch(?=[\s=<>!~]|$)\s*", "", text.strip(), flags=re.IGNORECASE)
    if _tag(rest):
        return Wish("", _tag(rest))
    rest, plus, local = rest.partition("+") if "+" in rest else rest.rpartition(" ")
    tag = _tag(local.strip())
    if plus == "+" and tag is None:
        raise ValueError(f"--torch {text}: {local!r} is no CUDA tag such as cu126; {EXPECTED}")
    rest = (rest if tag else f"{rest}{plus}{local}").strip()
    if rest.lower() in _ANY:
        return Wish("", tag)
    version = _VERSION.fullmatch(rest.removeprefix("==").strip())
    if version:
        return Wish(f"=={version[1]}{'.*' if version[1].count('.') < 2 else ''}", tag)
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        specifier = str(SpecifierSet(rest))
    except InvalidSpecifier:
        specifier = ""
    if not specifier:
        raise ValueError(f"--torch {text}: that is no version of torch; {EXPECTED}")
    return Wish(specifier, tag)


def _tag(text: str) -> str | None:
    if text.lower() == "cpu":
        return "cpu"
    match = _TAG.fullmatch(text)
    return f"cu{match[1]}{match[2]}" if match else None
