"""Reads the installed torch from its files, because importing it takes seconds and may fail."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from dcnbuild.machine.architectures import sorted_names
from dcnbuild.machine.elf import open_elf
from dcnbuild.machine.facts import TorchInstall
from dcnbuild.machine.files import children, read_text
from dcnbuild.machine.site import site_packages

#: The text of torch.cuda.get_arch_list() among the constants of libtorch_python.so (seen in 1.13.1, 2.5.1, 2.8.0,
#: 2.14.1 and 2.15.0). Other constants may come right before it.
_ARCH_FLAGS = re.compile(rb"sm_\d{2,3}[af]?(?: (?:sm|compute)_\d{2,3}[af]?)*(?= ?\0)")
#: One function of libc10.so that takes a std::string, mangled for either C++ ABI (torch 1.8 and
#: newer).
_ABI_SYMBOLS = {
    b"torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_string": True,
    b"torchCheckFailEPKcS2_jRKSs": False,
}


def find_torch(prefix: Path | None = None, env: Mapping[str, str] | None = None) -> TorchInstall | None:
    """Returns the torch of a Python environment, by default this interpreter's; None if it has none.

    Works inside pip's build isolation too, where site-packages is not on sys.path. For `env` see
    `site_packages`.
    """
    return next(iter(find_torches(prefix, env)), None)


def find_torches(prefix: Path | None = None, env: Mapping[str, str] | None = None) -> list[TorchInstall]:
    """Returns every torch of an environment; the first is the one that `import torch` imports."""
    found = [read_torch(directory) for directory in site_packages(prefix, env)]
    return [install for install in found if install is not None]


def read_torch(site_packages: Path) -> TorchInstall | None:
    """Returns the torch in one site-packages directory, also an editable install."""
    for root in _roots(site_packages):
        version_file = read_text(root / "version.py")
        if version_file is None:
            continue
        values = _constants(version_file)
        version = values.get("__version__")
        if isinstance(version, str):
            cuda = values.get("cuda")
            return TorchInstall(
                root=root,
                version=version,
                cuda=cuda if isinstance(cuda, str) else None,
                cxx11_abi=_cxx11_abi(root),
                architectures=_architectures(root) if cuda else (),
                installer=_installer(site_packages, version),
                channel=_conda_channel(site_packages),
                listable=_listable(root) if cuda else (),
                hip=hip if isinstance(hip := values.get("hip"), str) else None,
            )
    return None


def _constants(source: str) -> dict[str, object]:
    """Returns the names that a module's top level sets to literals; {} if it is not Python."""
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    values: dict[str, object] = {}
    for statement in statements:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        if isinstance(value, ast.Constant):
            values |= {target.id: value.value for target in targets if isinstance(target, ast.Name)}
    return values


def _roots(site_packages: Path) -> Iterator[Path]:
    yield site_packages / "torch"
    for finder in children(site_packages, "__editable___torch_*_finder.py"):  # setuptools' way
        match = re.search(r"""["']torch["']\s*:\s*["']([^"']+)["']""", read_text(finder) or "")
        if match:
            yield Path(match[1])


def _cxx11_abi(root: Path) -> bool | None:
    with open_elf(root / "lib/libc10.so") as elf:
        if elf is not None:
            for symbol, abi in _ABI_SYMBOLS.items():
                if elf.data.find(symbol) >= 0:
                    return abi
    cmake = read_text(root / "share/cmake/Torch/TorchConfig.cmake") or ""
    match = re.search(r"_GLIBCXX_USE_CXX11_ABI=([01])", cmake)
    return match[1] == "1" if match else None


def _architectures(root: Path) -> tuple[str, ...]:
    with open_elf(root / "lib/libtorch_python.so") as elf:
        constants = elf.section(".rodata") if elf else None
        if elf is None or constants is None:
            return ()
        start, end = constants.offset, constants.offset + constants.size
        lists = [match[0] for match in _ARCH_FLAGS.finditer(elf.data, start, end)]
        return sorted_names(max(lists, key=len, default=b"").decode().split())


def _listable(root: Path) -> tuple[str, ...]:
    source = read_text(root / "utils/cpp_extension.py") or ""
    numbers = re.search(r"\bsupported_arches = \[([^\]]*)\]", source)
    generations = re.search(r"\bnamed_arches = .*?\]\)", source, re.DOTALL)
    if numbers is None or generations is None:
        return ()
    return (
        *re.findall(r"'(\d+\.\d[af]?)'", numbers[1]),
        *re.findall(r"\('([^']+)',", generations[0]),
    )


def _installer(site_packages: Path, version: str) -> str | None:
    public = version.split("+")[0]
    for metadata in children(site_packages, f"torch-{public}*.dist-info"):
        name = (read_text(metadata / "INSTALLER") or "").strip()
        if name:
            return name
    return "conda" if _conda_records(site_packages) else None


def _conda_channel(site_packages: Path) -> str | None:
    for record in _conda_records(site_packages):
        try:
            channel = json.loads(read_text(record) or "").get("channel")
        except (ValueError, AttributeError, RecursionError):
            continue
        if isinstance(channel, str):  # "https://conda.anaconda.org/pytorch/linux-64" or only a name
            parts = channel.rstrip("/").split("/")
            return parts[-2] if len(parts) > 1 and parts[-1].startswith("linux-") else parts[-1]
    return None


def _conda_records(site_packages: Path) -> list[Path]:
    """Returns conda's records of a torch in <prefix>/lib/python3.x/site-packages, from <prefix>/conda-meta."""
    return children(site_packages.parent.parent.parent / "conda-meta", "pytorch-[0-9]*.json")
