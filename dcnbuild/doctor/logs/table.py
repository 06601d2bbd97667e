"""Reads rules.yaml: every rule is a row, and what takes code names a function.

A row has the fields of LogRule. `when`, `cause` and `fix` can be "=module.function", a function of a Hit in
this package. `patterns` pairs a literal part with a regular expression; `around` and
`without` are regular expressions that the lines nearby must and must not hold; `machine` names a kind
of machine (see Context); the line above has to name the entity `twice`, too. A fix is a list: the name of a function of `dcnbuild.doctor.fixes` (or of
_VERBS) and its arguments, in which `{name}` stands for an entity of the record; an argument whose
entity is empty drops the line.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import advice
from dcnbuild.doctor.logs.owner import package_of
from dcnbuild.doctor.logs.rule import Hit, Level, LogRule
from dcnbuild.doctor.logs.rules_cuda import find_toolkit
from dcnbuild.doctor.logs.rules_runtime import new_driver
from dcnbuild.doctor.logs.rules_source import port

_TABLE = Path(__file__).with_name("rules.yaml")
_ENTITY = re.compile(r"\{(\w+)\}")
#: So many lines above and below belong to the surroundings of a line.
_NEAR = (40, 25)

#: What rows can ask for beside the functions of `fixes`.
_VERBS: dict[str, Callable[..., Iterable[Fix]]] = {
    "run": lambda hit, *words: (fixes.command(*words),),
    "sudo": lambda hit, *words: (fixes.command(*words, root=True),),
    "of": lambda hit, *words: (fixes.command(*words[:-1], operands=words[-1:]),),
    "install": lambda hit, *packages: (advice.install(hit, *packages),),
    "upgrade": lambda hit, *packages: (fixes.pip_install(*packages, options=("--upgrade",)),),
    "build": lambda hit: (advice.build(hit),),
    "package": lambda hit, name, file="": advice.system_package(hit, name, file or name),
    "rebuild": lambda hit, path="": advice.rebuild(hit, path),
    "torch": lambda hit, version=None, cuda=None: (fixes.install_torch(version, cuda),),
    "toolkit": lambda hit, version=None: find_toolkit(hit, version),
    "driver": lambda hit: new_driver(hit),
    "port": lambda hit: (port(hit),),
    "show": lambda hit, module: (fixes.pip("show", operands=(package_of(module),)),),
    "ask_torch": lambda hit: (advice.ASK_TORCH,),
}


def _filled(text: Any, hit: Hit) -> str:
    return _ENTITY.sub(lambda found: hit[found[1]], str(text))


def _fixes(rows: list[Any], hit: Hit) -> Iterator[Fix]:
    for row in rows:
        if isinstance(row, dict):  # {conda: [...]}: for that kind of machine only
            for machine, inner in row.items():
                if _on(machine, hit):
                    yield from _fixes(inner, hit)
            continue
        verb, *arguments = [row] if isinstance(row, str) else row
        empty = any(
            not hit[name] for argument in arguments for name in _ENTITY.findall(str(argument))
        )
        if empty and verb != "say":
            continue
        words = [_filled(argument, hit) for argument in arguments]
        if any(_would_be_an_option(*pair) for pair in zip(arguments, words, strict=True)):
            continue
        if verb in _VERBS:
            yield from _VERBS[verb](hit, *words)
        else:
            yield getattr(fixes, verb)(*words)


def _would_be_an_option(argument: Any, word: str) -> bool:
    """Whether a name out of a log would be taken for an option of the program."""
    name = _ENTITY.fullmatch(str(argument))
    return name is not None and name[1] != "option" and word.startswith("-")


def _on(machine: str, hit: Hit) -> bool:
    if machine.startswith("not_"):
        return not _on(machine.removeprefix("not_"), hit)
    return bool(getattr(hit.context, machine))


def _conditions(row: dict[str, Any]) -> Callable[[Hit], bool] | None:
    around, without = (row.pop(name, None) for name in ("around", "without"))
    machine, twice = row.pop("machine", None), row.pop("twice", None)
    if not (around or without or machine or twice):
        return None
    wanted, unwanted = (re.compile(text) if text else None for text in (around, without))

    def when(hit: Hit) -> bool:
        if machine and not _on(machine, hit):
            return False
        if twice and hit[twice] not in hit.log.english(hit.line - 1):
            return False
        text = hit.around(*_NEAR)
        return bool(
            (wanted is None or wanted.search(text)) and not (unwanted and unwanted.search(text))
        )

    return when


def _function(value: Any) -> Any:
    """What "=module.function" names; any other value is itself."""
    if not (isinstance(value, str) and value.startswith("=")):
        return value
    module, _, name = value[1:].partition(".")
    return getattr(importlib.import_module(f"dcnbuild.doctor.logs.{module}"), name)


def _rule(row: dict[str, Any]) -> LogRule:
    conditions = _conditions(row)
    row["when"] = _function(row.get("when")) or conditions
    row["cause"] = _function(row["cause"])
    fix = _function(row.get("fix") or [])
    row["fix"] = fix if callable(fix) else partial(_fixes, fix)
    patterns = row.get("patterns") or ()
    row["patterns"] = tuple(
        patterns.items() if isinstance(patterns, dict) else map(tuple, patterns)
    )
    for name in ("kinds", "explains"):
        row[name] = tuple(row.get(name) or ())
    row["level"] = Level[row.get("level", "CAUSE")]
    return LogRule(**row)


def read() -> tuple[LogRule, ...]:
    """Every rule, in the order of the table."""
    import yaml  # here: only whoever reads a log pays for it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    rows = yaml.load(_TABLE.read_text(encoding="utf-8"), Loader=loader)
    return tuple(_rule(dict(row)) for row in rows)
