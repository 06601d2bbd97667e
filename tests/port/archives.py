"""Ports real old extensions from their source archives, and compiles, links and imports the result.

    python tests/port/archives.py [NAME …]      all archives, or those named

Needs `unearth`, which fetches a source archive without running its setup.py. A source counts if it does not
compile before; 95 of 100 of these have to compile after, and each that does not has its reason in the report.
What includes a header of a library that is not here (mmcv's `parrots`) is named and not counted. Modern archives
keep their sources byte for byte. DCNv2 is installed with pip and imported, and its kernels are run on the CPU
against dcnbuild's operator: the only one that both have, and it has no CPU implementation of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dcnv2_on_cpu import differences
from pip._internal.models.index import PyPI
from unearth import PackageFinder

from dcnbuild.builder.ninjafile import jobs
from dcnbuild.port.check import check_project
from dcnbuild.port.output import write_copy
from dcnbuild.port.project import Options, port_project
from dcnbuild.port.toolchain import Toolchain, find_toolchain

#: How many of the sources that fail before have to compile after.
WANTED = 0.95


@dataclass(frozen=True)
class Archive:
    """One archive: `modern` if its sources compile as they are, `builds` if its setup.py has to work,
    `module` if pip has to install it, with the name to import."""

    requirement: str
    modern: bool = False
    builds: bool = False
    module: str = ""


ARCHIVES = (
    Archive("DCNv2==0.4", module="_ext"),
    Archive("warp_rnnt==0.4.0"),
    Archive("neural_renderer_pytorch==1.1.3", builds=True),
    Archive("modulated_deform_conv==1.0.2", builds=True),
    Archive("torch-encoding==1.2.1"),
    Archive("inplace-abn==1.0.12", modern=True),
    Archive("mmcv-full==1.0.4"),
    Archive("DCNv4==1.0.0.post2", modern=True),
    Archive("torch-scatter==2.1.2", modern=True),
    Archive("tvdcn==1.1.0", modern=True),
    Archive("torch-scatter==1.0.4"),
    Archive("torch-cluster==1.2.4"),
    Archive("torch-spline-conv==1.0.6"),
    Archive("torch-sparse==0.2.4"),
    Archive("torch-points-kernels==0.7.0"),
    Archive("MinkowskiEngine==0.5.4"),
    Archive("chamferdist==1.0.3", modern=True),
    Archive("causal-conv1d==1.4.0", modern=True),
    Archive("ctcdecode==1.0.2", modern=True),
    Archive("torchsparseattn==0.2", modern=True),
)


def fetch(requirement: str, directory: Path) -> Path:
    """Unpacks a source archive from the index that pip uses."""
    named = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
    )
    index = os.environ.get("PIP_INDEX_URL") or named.stdout.strip() or PyPI.simple_url
    finder = PackageFinder(index_urls=[index], no_binary=[":all:"])
    best = finder.find_best_match(requirement, allow_prereleases=True).best
    if best is None:
        raise SystemExit(f"there is no source archive of {requirement}")
    finder.download_and_unpack(best.link, directory)
    return directory


def try_archive(archive: Archive, work: Path, tools: Toolchain) -> tuple[int, int, list[str]]:
    """How many sources failed before, how many of them compile after, and what is wrong."""
    old = fetch(archive.requirement, work / "old")
    result = port_project(old)
    write_copy(old, work / "new", result.files)
    sources = [file for file in result.changed if file.path.suffix != ".py"]
    if archive.modern:
        return 0, 0, [f"{file.path} was changed" for file in sources]
    again = port_project(work / "new")
    problems = [f"{file.path} changes again" for file in again.changed]

    after = check_project(
        work / "new", result, tools, jobs(os.environ), print, not archive.module, everything=True
    )
    failed = {file.path for file in after.files if file.compiled is False}
    compiles = {file.path for file in after.files if file.compiles}
    for file in after.files:
        if file.compiles is False:
            problems.append(f"{file.path} does not compile:\n{file.output}")
        if file.note:
            print(f"    {file.path}: {file.note}")
    lost = [file.path for file in after.files if file.compiled and not file.compiles]
    problems += [f"{path} compiled before and does not after" for path in lost]
    if after.build is not None:
        print(f"    setup.py: {'builds and imports' if after.build.ok else after.build}")
    if archive.builds and (after.build is None or not after.build.ok):
        problems.append(f"setup.py does not build or import: {after.build}")
    if archive.module:
        problems += installed(work / "new", archive.module, tools, work / "site")
    if archive.requirement.startswith("DCNv2"):
        problems += against_ours(old, work / "fixed")
    return len(failed), len(failed & compiles), problems


def installed(project: Path, module: str, tools: Toolchain, site: Path) -> list[str]:
    """Installs a ported project with pip, as docs/porting.md says, and imports it; what went wrong."""
    pip = [sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps"]
    variables = {**tools.environment, "PYTHONPATH": str(site)}
    for command in (
        [*pip, f"--target={site}", str(project)],
        [sys.executable, "-c", f"import torch, {module}; print({module}.__file__)"],
    ):
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=site.parent, env=variables, check=False
        )
        if done.returncode:
            return [f"{' '.join(command)} fails:\n{(done.stdout + done.stderr)[-2000:]}"]
    print(f"    installed and imported: {done.stdout.strip()}")
    return []


def against_ours(old: Path, work: Path) -> list[str]:
    """What of DCNv2's ported kernels, with their bugs fixed, differs from dcnbuild's operator."""
    write_copy(old, work / "project", port_project(old, Options(fix_bugs=True)).files)
    found = differences(work / "project", work)
    print(f"    differences to dcnbuild's operator on the CPU: {found}")
    return [f"{name} differs by {value}" for name, value in found.items() if value > 1e-5]


def main(names: list[str]) -> int:
    """Tries the archives and prints what came of them; 1 if that is not enough."""
    tools = find_toolchain(os.environ, Path(sys.executable), jobs(os.environ))
    failed = compiling = 0
    problems: list[str] = []
    for archive in ARCHIVES:
        if names and archive.requirement.split("==")[0] not in names:
            continue
        print(archive.requirement, flush=True)
        with tempfile.TemporaryDirectory() as work:
            before, after, found = try_archive(archive, Path(work), tools)
        failed, compiling = failed + before, compiling + after
        problems += [f"{archive.requirement}: {problem}" for problem in found]
        print(f"    {after} of {before} that failed compile, {len(found)} problems", flush=True)
    print(f"{compiling} of {failed} sources that failed compile")
    print(*problems, sep="\n")
    broken = [problem for problem in problems if "does not compile:" not in problem]
    return int(bool(broken) or compiling < WANTED * failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
