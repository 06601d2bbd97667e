"""Lays a wheel out as a repository of Hugging Face's kernels: `python -m tools.hub_kernel dist/dcnbuild-*.whl
out/kernel`.

The result is what `kernels.get_local_kernel(Path("out/kernel"))` and `kernels.get_kernel` import, and what `hf upload`
takes:

    build/torch-stable-abi210-cpu-x86_64-linux/metadata.json, __init__.py, dcnbuild/

A wheel with CUDA kernels gives a variant for CUDA 12 and one for CUDA 13 too: its library needs no CUDA runtime of its
own. A wheel for one release of torch is refused. The operators are registered with torch as `dcnbuild::…`, so one
process can have one version of dcnbuild, while other kernels may be there in several.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dcnbuild.builder.flavour import STABLE_TARGET

#: Written into each variant: the package imports itself by its name, and so must be found under it.
_ENTRY = '''\
"""Imports the dcnbuild that lies beside this file, unless another one is imported already."""

import importlib.util
import sys
from pathlib import Path

_package = Path(__file__).resolve().parent / "dcnbuild"
if "dcnbuild" not in sys.modules:
    _spec = importlib.util.spec_from_file_location(
        "dcnbuild", _package / "__init__.py", submodule_search_locations=[str(_package)]
    )
    sys.modules["dcnbuild"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["dcnbuild"])

import dcnbuild

if Path(dcnbuild.__file__).resolve().parent != _package:
    raise ImportError(f"another dcnbuild is imported already: {dcnbuild.__file__}")

from dcnbuild import *
from dcnbuild import __all__
'''


class LayoutError(ValueError):
    """This wheel cannot be laid out; the text says why."""


def variants(build: dict[str, Any], machine: str) -> dict[str, dict[str, Any]]:
    """Returns the name of each build variant, with the backend that its metadata.json names.

    Args:
        build: dcnbuild/lib/build.json of the wheel.
        machine: "x86_64" or "aarch64".

    Raises:
        LayoutError: the wheel serves one release of torch only.
    """
    if build["flavour"] != "stable":
        raise LayoutError(f"this wheel serves torch {build['torch']} only: build it with torch 2.10 or newer")
    framework = "torch-stable-abi{}{}".format(*STABLE_TARGET)
    backends: dict[str, dict[str, Any]] = {"cpu": {"type": "cpu"}}
    if "cuda" in build["libraries"]:
        # of each major version the oldest minor one: `kernels` takes a variant for this minor version and later ones
        backends.update({name: {"type": "cuda"} for name in ("cu120", "cu130")})
    return {f"{framework}-{name}-{machine}-linux": it for name, it in backends.items()}


def lay_out(wheel: Path, out: Path) -> list[Path]:
    """Writes the variants of a wheel into `out`/build, which must not exist; returns their directories.

    Raises:
        LayoutError: the file is no wheel of dcnbuild for Linux, or serves one release of torch only.
        FileExistsError: `out`/build exists.
    """
    platform = wheel.stem.rpartition("-")[2]
    machine = next((it for it in ("x86_64", "aarch64") if platform.endswith(it)), "")
    if not machine or "linux" not in platform:
        raise LayoutError(f"{wheel.name} does not name Linux and a processor at its end")
    with zipfile.ZipFile(wheel) as archive:
        inside = [name for name in archive.namelist() if name.startswith("dcnbuild/")]
        if "dcnbuild/lib/build.json" not in inside:
            raise LayoutError(f"{wheel.name} has no dcnbuild/lib/build.json")
        build = json.loads(archive.read("dcnbuild/lib/build.json"))
        version = build["dcnbuild"]
        folders = []
        (out / "build").mkdir(parents=True)
        for name, backend in variants(build, machine).items():
            folder = out / "build" / name
            folder.mkdir()
            archive.extractall(folder, inside)
            (folder / "__init__.py").write_text(_ENTRY, encoding="utf-8")
            metadata = {
                "id": f"_dcnbuild_{backend['type']}_{version.replace('.', '_')}",
                "name": "dcnbuild",
                "version": int(version.partition(".")[0]),
                "license": "BSD-3-Clause",
                "python-depends": [],
                "backend": backend,
            }
            text = json.dumps(metadata, indent=1) + "\n"
            (folder / "metadata.json").write_text(text, encoding="utf-8")
            folders.append(folder)
    return folders


def main(argv: Sequence[str]) -> int:
    """Runs the command line; returns the exit status."""
    if len(argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        for folder in lay_out(Path(argv[0]), Path(argv[1])):
            print(folder)
    except (OSError, LayoutError) as error:
        print(f"hub_kernel: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
