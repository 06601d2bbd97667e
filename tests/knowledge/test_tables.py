"""Tests that every table is sorted, unique and small, has a source in each row, and names no registry's server."""

from __future__ import annotations

import importlib.util
import json
import re
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from dcnbuild import knowledge
from dcnbuild.base.versions import numbers
from dcnbuild.knowledge import compilers, modules, owners, replacements, rows, sonames
from dcnbuild.knowledge.store import Table
from dcnbuild.machine.compatibility import table as table_of_versions

FOLDER = Path(knowledge.__file__).parent
TABLES = {
    "cuda": knowledge.cuda.TABLE,
    "numpy": knowledge.numpy.PYTHON_TABLE,
    "numpy_c": knowledge.numpy.C_TABLE,
    "python": knowledge.python.LIBRARY_TABLE,
    "python_c": knowledge.python.C_TABLE,
    "setuptools": knowledge.setuptools.TABLE,
    "torch_cpp": knowledge.torch_cpp.TABLE,
    "torch_python": knowledge.torch_python.TABLE,
}


@pytest.fixture(params=sorted(TABLES))
def table(request: pytest.FixtureRequest) -> Table:
    return TABLES[request.param]


def test_rows_are_sorted_and_unique_and_their_releases_were_read(table: Table) -> None:
    entries = list(table.entries())
    assert len(entries) > 500
    keys = [(entry.name.rpartition(entry_separator(entry.kind, table))[2], entry.scope) for entry in entries]
    assert keys == sorted(set(keys))
    order = table.releases
    for entry in entries:
        assert order.index(entry.first) <= order.index(entry.last)
        assert entry.removed is None or order.index(entry.removed) > order.index(entry.last)
        assert entry.source


def test_the_tables_have_every_release_of_compatibility_yaml_and_the_page_says_which() -> None:
    compatible = table_of_versions()
    for name in ("torch_cpp", "torch_python"):
        assert TABLES[name].releases == tuple(row.release for row in compatible.torch), (
            f"python -m tools.knowledge {name}"
        )
    read = TABLES["cuda"].releases
    toolkits = {row.version for row in compatible.cuda if numbers(row.version) >= numbers(read[0])}
    assert toolkits <= set(read), (
        "RELEASES of tools/knowledge/toolkits.py, then: python -m tools.knowledge cuda compilers"
    )
    assert compilers.rows()[-1].cuda == read[-1], "python -m tools.knowledge compilers"
    page = (Path(__file__).resolve().parents[2] / "docs/knowledge.md").read_text(encoding="utf-8")
    assert f"members of CUDA {read[0]} to {read[-1]}," in page
    assert f"torch's C++ headers, 1.0 to {compatible.torch[-1].release} |" in page


def entry_separator(kind: str, table: Table) -> str:
    return "/" if kind == "header" else table.separator


def test_every_name_of_a_table_is_found_by_itself(table: Table) -> None:
    entries = [entry for entry in table.entries() if entry.kind != "header"]
    for entry in entries[:: max(1, len(entries) // 300)]:
        assert entry in table.find(entry.name)


def test_a_table_reads_few_members_for_one_name(table: Table) -> None:
    fresh = Table(table.path, table.separator)
    fresh.find("no_such_name_in_any_table")
    fresh.find("zzz")
    assert fresh._members.cache_info().misses <= 2


def test_the_tables_are_small() -> None:
    """The tables are small after compression, which is how a wheel holds them."""
    generated = sum(path.stat().st_size for path in FOLDER.glob("*.zip"))
    written = sum(path.stat().st_size for path in FOLDER.glob("*.json"))
    assert generated + written // 3 < 1_000_000


def test_no_table_names_a_registry() -> None:
    hosts = re.compile(r"pypi\.|pythonhosted|anaconda\.(org|com)|conda\.|ngc\.nvidia|artifactory", re.IGNORECASE)
    for path in FOLDER.glob("*.json"):
        assert not hosts.search(path.read_text(encoding="utf-8")), path.name
    for path in FOLDER.glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                assert not hosts.search(archive.read(member).decode()), (path.name, member)


def test_every_written_row_has_a_source() -> None:
    assert len(modules.rows()) > 40
    assert len(owners.rows()) > 40
    assert len(sonames.rows()) > 60
    tables: tuple[Any, ...] = (modules, owners, sonames, replacements)
    for row in (row for table in tables for row in table.rows()):
        assert row.source


def test_every_pattern_of_a_symbols_owner_compiles() -> None:
    for row in owners.rows():
        for pattern in row.names:
            re.compile(pattern)


def test_no_module_or_soname_is_claimed_twice() -> None:
    names = [
        (name, row.source_dir) for row in modules.rows() for name in row.modules
    ]  # of copies the directory decides
    assert len(names) == len(set(names))
    names = [name for row in sonames.rows() for name in row.sonames]
    assert len(names) == len(set(names))


def test_a_replacement_is_for_a_name_of_its_table_and_its_names_exist_today() -> None:
    for row in replacements.rows():
        table = TABLES[row.table]
        for name in row.names:
            assert table.find(name) or table.find_header(name), f"{row.table} has no {name}"
        today = re.match(r"[A-Za-z_][\w:.]*", row.use)
        if today and table.separator in today[0] and not today[0].startswith("std::"):
            found = [entry for other in TABLES.values() for entry in other.find(today[0])]
            assert any(entry.removed is None for entry in found), (row.table, row.use)


def test_install_commands_are_lists_of_arguments() -> None:
    for row in modules.rows():
        for command in row.install:
            assert command[0] in ("pip", "python", "mim", "dcnbuild", "conda", "swig", "sh", "bash", "cmake"), command
            assert all(isinstance(item, str) and item.strip() == item for item in command)
            assert not any(re.search(r"[;&|<>$`]", item) for item in command if ">=" not in item)


def test_a_bad_row_is_refused_with_its_file_and_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_FOLDER", tmp_path)
    for row, wanted in (
        ({"modules": ["a"], "colour": "red", "source": "x"}, "expected only the fields"),
        ({"modules": ["a"]}, "has no source"),
        ({"modules": ["a"], "source": "x"}, "missing"),
    ):
        rows.read.cache_clear()
        (tmp_path / "modules.json").write_text(json.dumps([row]), encoding="utf-8")
        with pytest.raises(rows.KnowledgeError, match=f"modules.json.*{wanted}"):
            modules.rows()
    rows.read.cache_clear()


def test_libraries_of_the_installed_nvidia_wheels_are_known_by_their_names() -> None:
    """Every library in the file lists of the installed nvidia wheels has a row in the table."""
    seen = 0
    for distribution in metadata.distributions():
        package = (distribution.metadata["Name"] or "").lower()
        if not re.match(r"nvidia-(cu|nccl|nvj|nvtx)", package):
            continue
        for path in distribution.files or ():
            if re.fullmatch(r"lib\w+\.so\.\d+", path.name) and not path.name.startswith("libcheckpoint"):
                found = sonames.find(path.name)
                if not found:
                    continue
                seen += 1
                wanted = {re.split(r"[<>=!]", item)[0] for row in found for item in row.pip}
                assert package in wanted, f"{path.name} is in {package}, the table says {wanted}"
    if not seen:
        pytest.skip("no nvidia-* wheel is installed")


def test_what_is_shipped_of_the_written_tables_is_what_was_written() -> None:
    path = Path(__file__).parents[2] / "tools" / "knowledge" / "written_tables.py"
    spec = importlib.util.spec_from_file_location("written_tables", path)
    assert spec is not None
    assert spec.loader is not None
    written_tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(written_tables)
    assert len(list(written_tables.WRITTEN.glob("*.yaml"))) == 8
    for path in sorted(written_tables.WRITTEN.glob("*.yaml")):
        shipped = (FOLDER / f"{path.stem}.json").read_text(encoding="utf-8")
        assert shipped == written_tables.text_of(path.stem), (
            f"{path.name} was edited: run python -m tools.knowledge {path.stem}"
        )


def test_the_package_stands_below_those_that_read_it() -> None:
    for path in FOLDER.glob("*.py"):
        imported = re.findall(r"^\s*(?:from|import) dcnbuild\.?(\w*)", path.read_text(), re.MULTILINE)
        assert set(imported) <= {"knowledge", "base", ""}, path.name
