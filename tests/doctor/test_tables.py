"""tables.yaml, written by hand, against the tables that were read from headers."""

from __future__ import annotations

import re

from dcnbuild.base.versions import numbers
from dcnbuild.doctor.logs.lookups.tables import rows
from dcnbuild.knowledge import cuda, headers, python, torch_cpp

#: Declared still, for GPUs that this CUDA does not compile for.
_FOR_OLD_GPUS = {"__shfl", "__shfl_up", "__shfl_down", "__shfl_xor", "__ballot", "__any", "__all"}


def test_what_is_gone_is_gone_by_the_headers_too() -> None:
    wrong = []
    for scope, names in rows("gone").items():
        for name, (since, _) in names.items():
            product, _, version = since.partition(" ")
            table = {"CUDA": cuda, "torch": torch_cpp}.get(product)
            full = f"{scope}::{name}" if scope else name
            if table is None or name in _FOR_OLD_GPUS or name.startswith("THC/"):
                continue
            found = [entry for entry in table.find(full) if entry.scope == scope]
            length = len(numbers(version))
            known = [numbers(entry.removed or "")[:length] for entry in found]
            if known and numbers(version) not in known:
                wrong.append((full, since, [entry.removed for entry in found]))
    assert wrong == []


def test_headers_to_include_exist() -> None:
    named = {header for header in rows("include") if re.match(r"cuda_|cooperative", header)}
    named |= set(rows("public").values())
    gone = {name for name in named if not any(row.name == name and not row.removed for row in headers.find(name))}
    assert gone == set()


def test_what_changed_in_cuda_changed_in_its_headers() -> None:
    for name, (since, _) in rows("changed").items():
        product, _, version = since.partition(" ")
        found = [entry for entry in cuda.find(name) if entry.name == name and entry.changes[1:]]
        if product == "CUDA" and found:
            majors = {numbers(change[0])[:1] for entry in found for change in entry.changes[1:]}
            assert numbers(version) in majors, name


def test_no_name_of_python_is_gone_before_its_headers_lose_it() -> None:
    for name, since in rows("python").items():
        removed = [entry.removed for entry in python.C_TABLE.find(name) if entry.name == name]
        later = [version for version in removed if version and numbers(version) > numbers(since)]
        assert not later, (name, since, removed)
