"""Makes the table of what ATen's operators and a tensor's methods take, with every overload, of one release."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from dcnbuild.knowledge.torch_calls import MEMBER, RELEASE
from dcnbuild.machine.compatibility import table
from tools.knowledge import torch_wheels
from tools.knowledge.cpp import declarations

#: The headers that declare them, and the classes whose methods a tensor has.
_HEADERS = r"/include/ATen/(?:ops/\w+|core/TensorBody|core/TensorBase|Functions)\.h$"
_OWNERS = {"at": "", "at::Tensor": "Tensor::", "at::TensorBase": "Tensor::"}
#: The parts of a type that do not decide what it takes, and short names.
_SHORT = (
    (r"\bconst\b|[&\s]|(?:\b(?:at|c10|std|caffe2|indexing))?::", ""),
    (r"\bint64_t\b", "int"),
    (r"\bstring_view\b", "text"),
    (r"\barray<bool,\d>", "bools"),
    (r"\b(?:ITensorListRef|TensorList)\b", "[Tensor]"),
    (r"\bOptionalIntArrayRef\b", "[int]?"),
    (r"\bIntArrayRef\b", "[int]"),
    (r"\bDimnameList\b", "[Dimname]"),
    (r"\boptional<([^<>]*)>", r"\1?"),
    (r"\b(?:ArrayRef|List|initializer_list)<([^<>]*)>", r"[\1]"),
    (r"\boptional<([^<>]*)>", r"\1?"),
)


#: What stands before a name and its bracket, where it begins a line.
_TYPE = r"(?!return)(?:const )?[\w:]+(?:<[\w:<>, &]+>)?"
_RETURNS = re.compile(rf"^ *(?:inline |static |TORCH_API )*({_TYPE})(?: ?[&*] ?| )(\w+) ?\(", re.M)
_GIVEN = {"Tensor": "tensor", "TensorBase": "tensor", "vector<Tensor>": "tensors"}


def generate(cache: Path, target: Path) -> None:
    """Reads the release's headers and writes the table.

    A line has a name, what it returns, and least:types of each overload; a template takes what it takes, and has none.
    """
    row = next(row for row in table().torch if row.release == RELEASE)
    forms: dict[str, set[str]] = {}
    given: dict[str, set[str]] = {}
    for path, text in torch_wheels.archive(row, cache).texts(_HEADERS):
        owner = "Tensor::" if "/core/" in path else ""
        for type, name in _RETURNS.findall(text):
            given.setdefault(owner + name, set()).add(_kind(_short(type)))
        for item in declarations(text):
            if item.scope in _OWNERS and item.parameters is not None and not item.name.endswith("_symint"):
                form = f"{item.parameters[0]}:{_short(item.signature)}"
                forms.setdefault(_OWNERS[item.scope] + item.name, set()).add(form)
    lines = []
    for name, found in sorted(forms.items()):
        told = [] if re.search(r"\b[TF]\b|\.|<", "".join(found)) else sorted(found)
        kinds = given.get(name, {""})
        lines.append("\t".join([name, kinds.pop() if len(kinds) == 1 else "", *told]))
    info = zipfile.ZipInfo(MEMBER, date_time=(1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(info, "\n".join(lines), compresslevel=9)


def _kind(type: str) -> str:
    """What a type that is returned is called in the table."""
    tuple = type.startswith("tuple<") and set(type[6:-1].split(",")) == {"Tensor"}
    return "tuple" if tuple else _GIVEN.get(type, "other")


def _short(signature: str) -> str:
    for pattern, new in _SHORT:
        signature = re.sub(pattern, new, signature)
    return signature
