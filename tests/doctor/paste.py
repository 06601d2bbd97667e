"""Pastes the lines of a report into a fake machine, and returns the machine's facts afterwards.

It implements the commands of fixes. An unknown line fails the test, so that no fix is silently ignored.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

from doctor.machines import gcc, toolkit, torch

from dcnbuild.machine.compatibility import table
from dcnbuild.machine.facts import Compiler, CudaHome, Facts, PathEntry, Toolkit
from dcnbuild.machine.recipes import DEBIAN

CACHE = Path("/home/ada/.cache/dcnbuild/toolkits")
#: Sets nothing that the checks look at.
_HARMLESS = (
    "systemctl",
    "nvidia-smi",
    "reboot",
    "ubuntu-drivers",
    "mkdir",
    "python -m dcnbuild doctor",
)


def paste(facts: Facts, lines: tuple[str, ...]) -> Facts:
    """The facts after the lines have run, one after the other, in one shell."""
    home = facts.variables.get("CUDA_HOME")
    if facts.cuda_home and facts.cuda_home.has_nvcc and not any(str(kit.root) == home for kit in facts.toolkits):
        variables = {name: value for name, value in facts.variables.items() if name != "CUDA_HOME"}
        facts = replace(facts, variables=variables)  # an example that states torch's CUDA_HOME only
    for line in lines:
        facts = _run(facts, line)
    return facts


def _run(facts: Facts, line: str) -> Facts:
    by_hand = re.match(r"# Install CUDA (\d+\.\d+) from https:", line)
    if by_hand:  # whoever reads it does so
        new = toolkit(by_hand[1], f"/usr/local/cuda-{by_hand[1]}")
        return replace(facts, toolkits=(*facts.toolkits, new))
    if line.startswith("#"):
        return facts
    words = [word for word in shlex.split(line) if word != "sudo"]
    if words[0] == "export":
        name, _, value = words[1].partition("=")
        asked = re.fullmatch(r"\$\(dcnbuild toolkit install ([\d.]+)\)", value)
        if asked:
            value = str(CACHE / f"cuda-{asked[1]}")
            assert any(str(kit.root) == value for kit in facts.toolkits), f"no {value} for {line}"
        if value.endswith(f":${name}"):
            old = [entry.text for entry in facts.paths if entry.variable == name]
            value = ":".join([value.removesuffix(f":${name}"), *old])
        return _set(facts, name, value)
    if words[0] == "unset":
        return _set(facts, words[1], None)
    if words[:3] == ["dcnbuild", "toolkit", "install"]:
        root = CACHE / f"cuda-{words[-1]}"
        made = replace(
            toolkit(words[-1], f"cache: {root}"),
            root=root, nvcc=root / "bin/nvcc", include=(root / "include",), libraries=(root / "lib64",),
        )  # fmt: skip
        others = tuple(kit for kit in facts.toolkits if kit.root != root)
        host = DEBIAN[words[-1]].host if words[-1] in DEBIAN else None
        if host and not {"CC", "NVCC_PREPEND_FLAGS"} & set(facts.variables):  # it lies beside nvcc
            facts = replace(facts, nvcc_compiler=Compiler(root / "bin/gcc", "gcc", f"{host}.4.0", "beside nvcc"))
        return replace(facts, toolkits=(*others, made))
    if words[:2] == ["conda", "remove"]:
        return replace(facts, torch=None)
    if "uninstall" in words[:4] and words[-1].startswith("torch"):
        return replace(facts, torch=None)
    if words[1:4] == ["-m", "pip", "install"] or words[:2] == ["pip", "install"]:
        return _pip(facts, words[words.index("install") + 1 :])
    if words[0] == "apt-get":
        return _system(facts, words[words.index("install") + 1 :])
    if words[0] == "rm":
        gone = Path(words[-1])
        kept = tuple(kit for kit in facts.toolkits if kit.root != gone)
        caches = tuple(item for item in facts.jit_caches if item.path / "lock" != gone)
        return replace(facts, toolkits=kept, jit_caches=caches)
    assert line.replace("sudo ", "").startswith(_HARMLESS), f"paste.py does not know: {line}"
    return facts


def _set(facts: Facts, name: str, value: str | None) -> Facts:
    variables = {key: text for key, text in facts.variables.items() if key != name}
    if value is not None:
        variables[name] = value
    facts = replace(facts, variables=variables)
    if name == "NVCC_PREPEND_FLAGS" and value:
        value = value.removeprefix("-ccbin=")
    listed = any(entry.variable == name for entry in facts.paths) or name in ("PATH", "CPATH")
    if listed:
        known = {entry.text: entry for entry in facts.paths if entry.variable == name}
        texts = value.split(":") if value else []
        entries = [known.get(text) or _entry(facts, name, text) for text in texts]
        others = [entry for entry in facts.paths if entry.variable != name]
        facts = replace(facts, paths=(*entries, *others))
    if name in ("CXX", "CC", "NVCC_PREPEND_FLAGS") and value:
        named = next((item for item in facts.compilers if str(item.path) == value), None)
        kept = [item for item in facts.compilers if item.found_by != name or item is named]
        assert named is not None or Path(value).name.startswith("gcc"), f"{name}={value} names nothing"
        version = named.version if named else _sibling(facts, value).version
        compiler = Compiler(Path(value), "gcc", version, name)
        facts = replace(facts, compilers=(compiler, *kept))
        if name in ("CC", "NVCC_PREPEND_FLAGS"):
            facts = replace(facts, nvcc_compiler=compiler)
    return _find(facts)


def _sibling(facts: Facts, value: str) -> Compiler:
    """The g++ that was installed together with a gcc."""
    return next(item for item in facts.compilers if str(item.path) == value.replace("gcc", "g++"))


def _entry(facts: Facts, name: str, text: str) -> PathEntry:
    owner = next((kit for kit in facts.toolkits if Path(text).is_relative_to(kit.root)), None)
    headers = next((item.headers for item in facts.package_headers if str(item.directory) == text), ())
    return PathEntry(name, text, True, cuda=owner.version if owner else None, headers=headers)


def _find(facts: Facts) -> Facts:
    """What the probes would find now: toolkits in their order, and torch's CUDA_HOME."""
    home = facts.variables.get("CUDA_HOME")
    path = [entry.text for entry in facts.paths if entry.variable == "PATH"]

    def met(kit: Toolkit) -> Toolkit:
        labels = [label for label in kit.found_by if label != "CUDA_HOME" and not label.startswith("PATH: ")]
        if str(kit.root / "bin") in path:
            labels.insert(0, f"PATH: {kit.root}/bin/nvcc")
        if home == str(kit.root):
            labels.insert(0, "CUDA_HOME")
        return replace(kit, found_by=tuple(labels) or (str(kit.root),))

    def place(kit: Toolkit) -> tuple[bool, int]:
        directory = str(kit.root / "bin")
        return home != str(kit.root), path.index(directory) if directory in path else len(path)

    kits = tuple(sorted(map(met, facts.toolkits), key=place))
    if home is not None:
        there = any(str(kit.root) == home for kit in kits)
        cuda_home = CudaHome(Path(home), "CUDA_HOME", there, there, there)
        return replace(facts, toolkits=kits, cuda_home=cuda_home)
    first = next((kit for kit in kits if str(kit.root / "bin") in path), None)
    guess = CudaHome(first.root, f"PATH: {first.root}/bin/nvcc") if first else None
    return replace(facts, toolkits=kits, cuda_home=guess)


def _pip(facts: Facts, words: list[str]) -> Facts:
    index = next((word for word in words if "/whl/" in word), "")
    for word in words:
        package, _, version = word.partition("==")
        if package == "torch":
            version = version.partition("+")[0]
            row = next(row for row in table().torch if version in row.versions)
            tag = re.search(r"cu(\d+)(\d)$", index)
            cuda = f"{tag[1]}.{tag[2]}" if tag else None if index.endswith("/cpu") else row.default
            names = row.variants.get(cuda or "", ())
            new = torch(f"{version}+cu{(cuda or '').replace('.', '')}", cuda, *names)
            facts = replace(facts, torch=new, shadowed_torches=())
        elif package in ("torchvision", "torchaudio", "numpy<2", "ninja") or package.startswith("setuptools"):
            name = re.split("[<>=!]", package)[0]
            versions = {"numpy": "1.26.4", "ninja": "1.13.0", "setuptools": "69.5.1"}
            new_version = version.replace("*", "0") or versions.get(name, "0")
            packages = {**facts.python.packages, name: new_version}
            python = replace(facts.python, packages=packages)
            if name == "ninja":
                python = replace(python, ninja=python.executable.with_name("ninja"))
            facts = replace(facts, python=python)
    return facts


def _system(facts: Facts, packages: list[str]) -> Facts:
    for package in packages:
        found = re.fullmatch(r"g\+\+(?:-(\d+))?", package)
        cuda = re.fullmatch(r"cuda-toolkit-(\d+)-(\d+)", package)
        if found:
            name = package
            compiler = gcc(f"{found[1] or 13}.3.0", name)
            facts = replace(facts, compilers=(*facts.compilers, compiler))
            facts = replace(facts, nvcc_compiler=facts.nvcc_compiler or compiler)
        elif cuda:
            version = f"{cuda[1]}.{cuda[2]}"
            facts = replace(facts, toolkits=(*facts.toolkits, toolkit(version, f"/usr/local/cuda-{version}")))
        elif package == "nvidia-driver" or package.startswith(("lib", "python")):
            pass
        else:
            raise AssertionError(f"paste.py does not know the package {package}")
    return facts
