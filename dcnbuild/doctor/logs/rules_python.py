"""Python's side of a build: setuptools, numpy, ninja, and wheels that cannot be had."""

from __future__ import annotations

from dcnbuild.compatibility import table, torch_release
from dcnbuild.doctor.logs.patterns import START
from dcnbuild.doctor.logs.rule import Hit, LogRule


def _pkg_resources_fix(hit: Hit) -> tuple[str, ...]:
    torch = hit.get("torch")
    row = torch_release(torch) if torch else None
    wanted = row.setuptools if row and row.setuptools else "<81"
    return (
        f'pip install "setuptools{wanted}"',
        "# then build with: pip install --no-build-isolation .",
    )


def _offered(hit: Hit) -> str:
    versions = [item.strip() for item in hit["offered"].split(",") if item.strip()]
    if not versions or versions == ["none"]:
        return ""
    return f" (pip offers {versions[0]} to {versions[-1]})"


def _torch_version_cause(hit: Hit) -> str:
    wanted = hit["version"]
    known = [version for row in table().torch for version in row.versions]
    public = wanted.split("+")[0]
    if public in known:
        python = hit.get("python")
        row = torch_release(public)
        if python and row and not row.supports_python(python):
            return (
                f"torch {public} has wheels for Python {row.python[0]} to {row.python[1]} only, "
                f"and this is Python {python}."
            )
        return f"torch {wanted} has no wheel for this Python, system and index{_offered(hit)}."
    return f"There is no torch {wanted}{_offered(hit)}."


def _torch_version_fix(hit: Hit) -> tuple[str, ...]:
    wanted = hit["version"]
    public, _, local = wanted.partition("+")
    row = torch_release(public)
    if row is None or public not in row.versions:
        return ("pip install torch",)
    index = f" --index-url https://download.pytorch.org/whl/{local}" if local else ""
    lines: tuple[str, ...] = (f"pip install torch=={public}{index}",)
    if not (hit.get("python") and row.supports_python(hit["python"])):
        newest = row.python[1]
        name = f"torch{row.release}"
        lines = (f"conda create -n {name} python={newest}", f"conda activate {name}", *lines)
    return lines


RULES = (
    LogRule(
        id="pkg-resources",
        title="setuptools is too new for this torch",
        patterns=(
            ("No module named", r"No module named ['\"]?pkg_resources"),
            ("cannot import name", r"cannot import name '?packaging'? from '?pkg_resources"),
        ),
        unless=r"[Ww]arning",
        cause="What is built, or its torch, imports pkg_resources, which the installed setuptools no "
        "longer has.",
        fix=_pkg_resources_fix,
        example="ModuleNotFoundError: No module named 'pkg_resources'",
    ),
    LogRule(
        id="distutils-missing",
        title="Python 3.12 has no distutils",
        patterns=(
            ("No module named", r"No module named ['\"]?distutils"),
            ("has no attribute", r"module 'distutils' has no attribute 'version'"),
            ("has no attribute", r"module 'pkgutil' has no attribute 'ImpImporter'"),
        ),
        unless=r"[Ww]arning",
        cause=lambda hit: (
            "The torch or the setuptools in use is too old for this Python: it wants the distutils "
            "of old, or what Python 3.12 dropped."
            if "version" not in hit.match.group()
            else "This torch wants the distutils of an older setuptools."
        ),
        fix=lambda hit: (
            "pip install --upgrade pip setuptools wheel"
            if "version" not in hit.match.group()
            else 'pip install "setuptools<60"',
        ),
        example="ModuleNotFoundError: No module named 'distutils'",
    ),
    LogRule(
        id="setuptools-missing",
        title="No setuptools in this environment",
        patterns=(
            ("No module named", r"No module named ['\"]?setuptools"),
            ("Cannot import", r"Cannot import ['\"]?setuptools"),
            ("error: invalid command", r"error: invalid command 'bdist_wheel'"),
        ),
        unless=r"[Ww]arning",
        cause="Without build isolation the environment itself has to have setuptools and wheel, and "
        "it does not.",
        fix=("pip install --upgrade setuptools wheel",),
        example="pip._vendor.pyproject_hooks._impl.BackendUnavailable: "
        "Cannot import 'setuptools.build_meta'",
    ),
    LogRule(
        id="numpy2",
        title="numpy 2 under what was built for numpy 1",
        severity="warning",
        patterns=(
            ("NumPy 1.x cannot be run", r"compiled using NumPy 1\.x cannot be run in"),
            ("_ARRAY_API not found", r"_ARRAY_API not found"),
            ("Numpy is not available", r"RuntimeError: Numpy is not available"),
            ("numpy.dtype size changed", r"numpy\.dtype size changed"),
            ("numpy.core.multiarray failed", r"numpy\.core\.multiarray failed to import"),
            ("removed in the NumPy", r"was removed in the NumPy 2\.0 release"),
        ),
        cause="The installed numpy is 2.x, and torch or another module was built for numpy 1.x.",
        fix=('pip install "numpy<2"', "# or a newer torch (2.3 and later know numpy 2)"),
        example="A module that was compiled using NumPy 1.x cannot be run in",
    ),
    LogRule(
        id="ninja-missing",
        title="ninja is not installed",
        patterns=(
            ("Ninja is required", r"Ninja is required to load C\+\+ extensions"),
            ("No such file", r"No such file or directory: '?ninja'?(?![/\w])"),
            ("not found", r"(?:sh: (?:\d+: )?|^)ninja: (?:command )?not found"),
            ("unable to find", r"unable to find a build program.{0,40}Ninja"),
            ("is not recognized", r"'ninja' is not recognized"),
            ("ninja is required", r"ninja is required to build"),
        ),
        unless=r"Falling back",
        cause="torch compiles extensions with ninja, which is not installed in the environment that "
        "runs.",
        fix=("python -m pip install ninja", "ninja --version"),
        example="RuntimeError: Ninja is required to load C++ extensions",
    ),
    LogRule(
        id="torch-version-unavailable",
        title="This torch cannot be had here",
        patterns=(
            (
                "Could not find a version",
                r"Could not find a version that satisfies the requirement torch==(?P<version>[\w.+]+)"
                r".{0,4000}?\(from versions: (?P<offered>[^)]*)\)?",
            ),
            (
                "No matching distribution",
                r"No matching distribution found for torch==(?P<version>[\w.+]+)",
            ),
            (
                "no version of torch==",
                r"there is no version of torch==(?P<version>[\w.+]+)",
            ),
        ),
        cause=_torch_version_cause,
        fix=_torch_version_fix,
        example="ERROR: Could not find a version that satisfies the requirement torch==1.16 "
        "(from versions: 2.13.0, 2.14.1)",
    ),
    LogRule(
        id="package-not-found",
        title="pip finds no such package",
        patterns=(
            (
                "Could not find a version",
                r"satisfies the requirement (?P<name>(?!torch\b)[\w.\[\]-]+)(?P<wanted>[^ (]*).{0,200}?"
                r"\(from versions: (?P<offered>[^)]*)\)?",
            ),
        ),
        cause=lambda hit: (
            f"pip finds no {hit['name']}{hit['wanted']} for this Python"
            + (_offered(hit) or ": the name is wrong, or pip does not reach its index")
            + "."
        ),
        fix=("pip config list", "pip index versions {name}"),
        example="ERROR: Could not find a version that satisfies the requirement setuptools>=40.8.0 "
        "(from versions: none)",
    ),
    LogRule(
        id="wheel-unsupported",
        title="The wheel is for another Python or system",
        patterns=(
            (
                "is not a supported wheel",
                rf"{START}(?P<name>[^\s'\"(:]{{1,200}}?\.whl) is not a supported wheel on this platform",
            ),
        ),
        cause="{name} is for another Python or system than this one.",
        fix=("pip debug --verbose | grep -A5 'Compatible tags'", "python --version"),
        example="ERROR: torch-1.6.0+cu101-cp37-cp37m-linux_x86_64.whl is not a supported wheel on "
        "this platform.",
    ),
    LogRule(
        id="python-version",
        title="The package is not for this Python",
        patterns=(
            (
                "requires a different Python",
                r"Package '?(?P<name>[\w.-]+)'? requires a different Python: (?P<have>[\d.]+) not in "
                r"'(?P<wanted>[^']+)'",
            ),
        ),
        cause="{name} asks for Python {wanted}, and this is Python {have}.",
        fix=("python --version", "# make an environment with a Python in {wanted}"),
        example="ERROR: Package 'dcnv3' requires a different Python: 3.8.10 not in '>=3.10'",
    ),
    LogRule(
        id="externally-managed",
        title="pip may not change the system's Python",
        patterns=(("error: externally-managed", r"error: externally-managed-environment"),),
        cause="The distribution keeps pip from installing into its own Python.",
        fix=("python3 -m venv ~/venv", ". ~/venv/bin/activate"),
        example="error: externally-managed-environment",
    ),
)
