"""Ports extensions from their source archives to the stable ABI, compiles and links them, and audits the library.

    python tests/port/stable_archives.py [NAME …]      all archives, or those named

Needs `unearth`, which fetches a source archive without running its setup.py, and `torch-abi-audit`. Of each archive
nothing may be left; every C++ source has to compile with TORCH_TARGET_VERSION of torch 2.10, every `.cu` to pass nvcc,
and the library of both must need no name of torch's but the C shims. What cannot be fetched is said, and counts as a
failure.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from archives import fetch

from dcnbuild.builder.ninjafile import jobs
from dcnbuild.builder.plan import CudaPlan
from dcnbuild.port.build_flags import build_flags
from dcnbuild.port.output import write_copy
from dcnbuild.port.project import Options, port_project
from dcnbuild.port.source import find_sources
from dcnbuild.port.stable.abi import Target
from dcnbuild.port.toolchain import Toolchain, compile_command, find_toolchain

ARCHIVES = ("DCNv2==0.4", "DCNv4==1.0.0.post2", "chamferdist==1.0.3", "warp_rnnt==0.4.0")
TARGET = Target()
_LIBRARIES = ("torch", "torch_cpu", "c10")


def try_archive(requirement: str, work: Path, tools: Toolchain) -> list[str]:
    """Everything that is wrong with one archive's port."""
    old = fetch(requirement, work / "old")
    result = port_project(old, Options(stable=TARGET))
    left = [f"{file.path}: {r.subject} is left" for file in result.files for r in file.remarks if r.need == "broken"]
    root = work / "new"
    write_copy(old, root, result.files)
    if port_project(root, Options(stable=TARGET)).changed:
        left.append("a second run changes it again")
    sources = [p for p in find_sources(root) if p.suffix in (".cpp", ".cc", ".cu")]
    if not isinstance(tools.cuda, CudaPlan):
        print(f"    its .cu files are not tried: {tools.cuda.title}")
        sources = [p for p in sources if p.suffix != ".cu"]
    folders = sorted({p.parent for p in root.rglob("*.h*")} | {root})
    objects = []
    for number, source in enumerate(sources):
        target = work / f"{number}.o"
        command = compile_command(tools, source, target, [source.parent, *folders], build_flags(root))
        flags = [f"-DTORCH_TARGET_VERSION={TARGET.macro}", "-DUSE_CUDA"]
        done = _run([*command, *flags], tools)
        if done.returncode:
            left.append(f"{source.name} does not compile:\n{(done.stderr + done.stdout)[-1500:]}")
        else:
            objects.append(target)
            print(f"    {source.relative_to(root)} compiles", flush=True)
    return left + _audited(objects, work / "library.so", tools)


def _audited(objects: list[Path], library: Path, tools: Toolchain) -> list[str]:
    """What is unstable in the library of some objects."""
    where = Path(torch.__file__).parent / "lib"
    linked = [f"-l{name}" for name in _LIBRARIES]
    command = [os.environ.get("CXX", "c++"), "-shared", "-o", str(library), *map(str, objects)]
    done = _run([*command, f"-L{where}", *linked], tools)
    if done.returncode:
        return [f"it does not link:\n{done.stderr[-1000:]}"]
    found = []
    for audit in ([sys.executable, "-m", "dcnbuild", "audit"], ["torch-abi-audit"]):
        said = _run([*audit, str(library)], tools)
        text = said.stdout + said.stderr
        print("    " + next((x for x in text.splitlines() if "stable" in x.lower()), "?"))
        if audit[-1] == "audit" and f"stable ABI: {TARGET.release} and newer" not in text:
            found.append(f"dcnbuild audit says:\n{text[-1000:]}")
        if audit[-1] != "audit" and said.returncode:
            found.append(f"torch-abi-audit says:\n{text[-1000:]}")
    return found


def _run(command: list[str], tools: Toolchain) -> subprocess.CompletedProcess[str]:
    environment = dict(tools.environment)
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def main(names: list[str]) -> int:
    """Tries the archives and prints what came of them; 1 if anything is wrong."""
    tools = find_toolchain(os.environ, Path(sys.executable), jobs(os.environ))
    problems: list[str] = []
    for requirement in ARCHIVES:
        if names and requirement.split("==")[0] not in names:
            continue
        print(requirement, flush=True)
        with tempfile.TemporaryDirectory() as work:
            try:
                found = try_archive(requirement, Path(work), tools)
            except (SystemExit, OSError) as error:
                found = [f"it cannot be fetched: {error}"]
        print(*found, sep="\n")
        problems += found
    print(f"{len(problems)} problems")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
