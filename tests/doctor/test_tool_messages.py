"""What compilers, linkers, build tools and git stop with: each message of the table is explained, and each row is met."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dcnbuild import explain
from dcnbuild.doctor.logs.lookups.messages import TABLES

#: A section of messages/*.yaml, a message as logs have it ("||" stands between lines), a part of the cause.
_LINES = Path(__file__).with_name("tool_messages.tsv").read_text(encoding="utf-8").splitlines()
_ROWS = [line.split("\t") for line in _LINES if line and not line.startswith("# ")]
_SECTIONS = sorted({section for section, *_ in _ROWS})
_AT_PROMPT = {"msvc": "C:\\p> pip install .\n", "vcvars": "C:\\p> pip install .\n"}


@pytest.mark.parametrize(("section", "message", "said"), _ROWS)
def test_each_message_is_explained(section: str, message: str, said: str) -> None:
    (found, *_) = explain(_AT_PROMPT.get(section, "$ pip install .\n") + message.replace("||", "\n"))
    assert said in found.cause
    assert found.fix


def test_each_row_has_a_message() -> None:
    texts = [(section, message.replace("||", "\n")) for section, message, _ in _ROWS]
    unmet = {
        (section, name)
        for section in _SECTIONS
        for name in TABLES.sections[section]
        if not any(section == of and re.search(name, text) for of, text in texts)
    }
    assert sorted(unmet) == []


_FOREIGN = {
    "fatal: Zielpfad 'b' existiert bereits und ist kein leeres Verzeichnis.": "The directory b is there already",
    "fatal : le chemin de destination 'b' existe déjà et n'est pas un répertoire vide.": "The directory b is there already",
    "致命错误：目标路径 'b' 已经存在，并且不是一个空目录。": "The directory b is there already",
    "fatal: la ruta de destino 'b' ya existe y no es un directorio vacío.": "The directory b is there already",
    "fatal: целевой путь «b» уже существует и не является пустым каталогом.": "The directory b is there already",
    "fatal: 대상 경로가('b') 이미 있고 빈 디렉터리가 아닙니다.": "The directory b is there already",
    "make: *** No hay ninguna regla para construir el objetivo 'a.cu', necesario para 'a.o'.  Alto.": "a.cu",
    "make: *** Sem regra para processar o alvo 'a.cu', necessário por 'a.o'.  Pare.": "a.cu",
    "make: *** 没有规则可制作目标“a.cu”，由“a.o” 需求。 停止。": "a.cu",
    "make: *** 'a.o' に必要なターゲット 'a.cu' を make するルールがありません.  中止.": "a.cu",
    "Makefile:12: *** Fehlender Trenner.  Schluss.": "tab",
    "Makefile:12: *** 분리 기호가 빠졌음.  멈춤.": "tab",
    "/usr/bin/ld: falló el enlace final: file truncated": "cut off",
    "/usr/bin/ld: 最后的链结失败: file truncated": "cut off",
}


@pytest.mark.parametrize("message", _FOREIGN)
def test_messages_in_other_languages_are_read(message: str) -> None:
    (found, *_) = explain(f"$ pip install .\n{message}\n")
    assert _FOREIGN[message] in found.cause
