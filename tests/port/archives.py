"""Ports real old extensions from their source archives, and compiles, links and imports the result.

    python tests/port/archives.py [--front-end] [--record] [NAME …]      all archives, or those named

--front-end stops the compilers before they generate code, and builds nothing: what a front end takes fails behind it
for want of registers or shared memory only. --record writes the results into docs/port_archives.json, from which
`python -m tools.docs.porting` makes the page's table.

Needs `unearth`, which fetches a source archive without running its setup.py. A source counts if it does not
compile before; 95 of 100 of these have to compile after, and each that does not has its reason in the report.
What includes a header of a library that is not here (mmcv's `parrots`) is named and not counted. Modern archives
keep their sources byte for byte. DCNv2 is installed with pip and imported, and its kernels are run on the CPU
against dcnbuild's operator: the only one that both have, and it has no CPU implementation of its own.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from dcnv2_on_cpu import differences
from pip._internal.models.index import PyPI
from unearth import PackageFinder

from dcnbuild.builder.ninjafile import jobs
from dcnbuild.builder.plan import CudaPlan
from dcnbuild.port.check import check_project
from dcnbuild.port.output import write_copy
from dcnbuild.port.project import Options, port_project
from dcnbuild.port.toolchain import Toolchain, find_toolchain

#: How many of the sources that fail before have to compile after.
WANTED = 0.95
RESULTS = Path(__file__).resolve().parents[2] / "docs" / "port_archives.json"


@dataclass(frozen=True)
class Archive:
    """One archive: what `kind` of project it is, `modern` if its sources compile as they are, `builds` if its
    setup.py has to work, `module` if pip has to install it, with the name to import."""

    requirement: str
    kind: str
    modern: bool = False
    builds: bool = False
    module: str = ""


_ONE = "one setup.py"
ARCHIVES = (
    Archive("DCNv2==0.4", _ONE, module="_ext"),
    Archive("warp_rnnt==0.4.0", _ONE),
    Archive("neural_renderer_pytorch==1.1.3", _ONE, builds=True),
    Archive("modulated_deform_conv==1.0.2", _ONE, builds=True),
    Archive("torch-encoding==1.2.1", "compiled when it is imported"),
    Archive("torch-scatter==1.0.4", _ONE),
    Archive("torch-cluster==1.2.4", _ONE),
    Archive("torch-spline-conv==1.0.6", _ONE),
    Archive("torch-sparse==0.2.4", _ONE),
    Archive("torch-points-kernels==0.7.0", _ONE),
    Archive("warp-rna==0.3.0", _ONE),
    Archive("torch-baidu-ctc==0.3.0", "with a library's own kernels"),
    Archive("pytorch-fft==0.15", "cffi"),
    Archive("sru==2.0.0", "Functions in Python alone"),
    Archive("torchex==0.0.16", "Functions in Python alone"),
    Archive("ctcdecode==1.0.2", _ONE),
    Archive("fairseq==0.12.2", "nested setup.py", modern=True),
    Archive("inplace-abn==1.0.12", _ONE, modern=True),
    Archive("DCNv4==1.0.0.post2", _ONE, modern=True),
    Archive("torch-scatter==2.1.2", _ONE, modern=True),
    Archive("tvdcn==1.1.0", _ONE, modern=True),
    Archive("chamferdist==1.0.3", _ONE, modern=True),
    Archive("causal-conv1d==1.4.0", _ONE, modern=True),
    Archive("torchsparseattn==0.2", _ONE, modern=True),
    Archive("spatial-correlation-sampler==0.2.1", "setup.py beside a folder of sources", modern=True),
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


@dataclass
class Outcome:
    """What came of an archive: how many sources failed before, how many of those compile after, how many
    files were changed or added, what is wrong, and what the report leaves to the user of what does not work."""

    failed: int
    compile: int
    changed: int
    problems: list[str]
    left: list[str] = field(default_factory=list)


def try_archive(archive: Archive, work: Path, tools: Toolchain) -> Outcome:
    """Ports an archive, compiles it before and after, and builds it if it has to build."""
    old = fetch(archive.requirement, work / "old")
    result = port_project(old)
    write_copy(old, work / "new", result.files)
    sources = [file for file in result.changed if file.path.suffix != ".py"]
    if archive.modern:
        return Outcome(0, 0, len(sources), [f"{file.path} was changed" for file in sources])
    again = port_project(work / "new")
    problems = [f"{file.path} changes again" for file in again.changed]

    build = not archive.module and not tools.front_end
    after = check_project(work / "new", result, tools, jobs(os.environ), print, build, everything=True)
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
    if archive.builds and build and (after.build is None or not after.build.ok):
        problems.append(f"setup.py does not build or import: {after.build}")
    if archive.module and not tools.front_end:
        problems += installed(work / "new", archive.module, tools, work / "site")
    if archive.requirement.startswith("DCNv2") and not tools.front_end:
        problems += against_ours(old, work / "fixed")
    left = [f"{file.path}: {file.note}" for file in after.files if "not installed" in file.note]
    for file in (file for file in after.files if not file.compiles):
        left += [f"{file.path}: {r.subject}: {r.reason}" for r in file.remarks if r.need == "broken"]
    return Outcome(len(failed), len(failed & compiles), len(result.changed), problems, left)


def installed(project: Path, module: str, tools: Toolchain, site: Path) -> list[str]:
    """Installs a ported project with pip, as docs/porting.md says, and imports it; what went wrong."""
    pip = [sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps"]
    variables = {**tools.environment, "PYTHONPATH": str(site)}
    for command in (
        [*pip, f"--target={site}", str(project)],
        [sys.executable, "-c", f"import torch, {module}; print({module}.__file__)"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, cwd=site.parent, env=variables, check=False)
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


def record(archive: Archive, outcome: Outcome, tools: Toolchain) -> None:
    """Writes an archive's results into docs/port_archives.json."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    toolkit = tools.cuda.toolkit.version if isinstance(tools.cuda, CudaPlan) else "none"
    results[archive.requirement] = {
        "kind": archive.kind,
        "modern": archive.modern,
        "failed": outcome.failed,
        "compile": outcome.compile,
        "changed": outcome.changed,
        "problems": [problem.splitlines()[0].removesuffix(":") for problem in outcome.problems],
        "left": outcome.left,
        "with": f"torch {tools.torch.version.split('+')[0]}, CUDA {toolkit}",
        "by": "front ends" if tools.front_end else "compilers",
        "date": datetime.date.today().isoformat(),
    }
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


def main(argv: list[str]) -> int:
    """Tries the archives and prints what came of them; 1 if that is not enough."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--front-end", action="store_true")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args(argv)
    found = find_toolchain(os.environ, Path(sys.executable), jobs(os.environ))
    tools = replace(found, front_end=options.front_end)
    failed = compiling = 0
    problems: list[str] = []
    for archive in ARCHIVES:
        known = {archive.requirement, archive.requirement.split("==")[0]}
        if options.names and not known & set(options.names):
            continue
        print(archive.requirement, flush=True)
        with tempfile.TemporaryDirectory() as work:
            outcome = try_archive(archive, Path(work), tools)
        failed, compiling = failed + outcome.failed, compiling + outcome.compile
        problems += [f"{archive.requirement}: {problem}" for problem in outcome.problems]
        print(
            f"    {outcome.compile} of {outcome.failed} that failed compile",
            *outcome.problems,
            sep="\n    ",
            flush=True,
        )
        if options.record:
            record(archive, outcome, tools)
    print(f"{compiling} of {failed} sources that failed compile")
    print(*problems, sep="\n")
    broken = [problem for problem in problems if "does not compile:" not in problem]
    return int(bool(broken) or compiling < WANTED * failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
