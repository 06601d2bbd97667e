"""Python's side: modules that are missing, in pip's own environment or in the user's, and versions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.compatibility import table, torch_release
from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import extensions
from dcnbuild.doctor.logs.advice import ASK_TORCH, build, install
from dcnbuild.doctor.logs.owner import owner, package_of
from dcnbuild.doctor.logs.rule import Hit, LogRule
from dcnbuild.doctor.logs.rules_source import port

#: A traceback that runs in pip's, uv's or build's own environment holds one of these.
_ISOLATED = re.compile(
    r"pip-build-env-|build_meta|builds-v0|get_requires_for_build|Getting requirements to build"
    r"|prepare_metadata_for_build|Preparing (?:editable )?metadata \(pyproject|build_wheel"
    r"|Building (?:wheel|editable) for .{1,80}\(pyproject|Installing build dependencies"
    r"|build backend|build-env|pyproject_hooks|pep517|\.tmp\w{6}[/\\]|build isolation|build_editable"
)
_DIRECT = re.compile(
    r"File \"setup\.py\"|python3? setup\.py|setup\.py egg_info|Preparing metadata \(setup\.py\)|pip-setuptools-caller"
)
_SETUP = re.compile(
    r"setup\.py|<string>\", line|egg_info|\bpip\b|subprocess-exited-with-error|build_meta"
)
_EDITABLE = re.compile(r"editable|pip install (?:-v )?-e")
_FRAME = re.compile(r"File \"([^\"]{1,300})\", line \d+")


def _isolated(hit: Hit) -> bool:
    """Whether a module was missing in a build environment and not in the user's own."""
    lines = hit.log.near(hit.line, before=80, after=25)
    around = "\n".join(lines)
    if _ISOLATED.search(around):
        return True
    for start, line in enumerate(lines[:-1]):
        # Python runs setup.py itself: its frame is the first of the traceback
        if line.startswith("Traceback (most") and re.match(
            r'File "[^"]*setup\.py"', lines[start + 1]
        ):
            return False
    return not _DIRECT.search(around) and bool(_SETUP.search(around))


def _in_build(hit: Hit) -> bool:
    return bool(_SETUP.search(hit.around(before=40, after=15)))


def _isolation_fix(hit: Hit) -> Iterator[Fix]:
    yield fixes.say("torch has to be there first:")
    yield ASK_TORCH
    yield install(hit, "setuptools", "wheel", "ninja")
    yield build(hit, bool(_EDITABLE.search(hit.around(before=60, after=25))))


def _module_fix(hit: Hit) -> Iterator[Fix]:
    yield install(hit, package_of(hit["module"]))
    if _isolated(hit):
        yield build(hit)


# -- modules that a package compiles -----------------------------------------------------------------


def _compiled(hit: Hit) -> extensions.Extension | None:
    """The extension that is missing: by its own name, or by the file that imports it."""
    name, frame = hit["module"] or hit["name"], _frame(hit)
    if hit.kind == "missing-import":
        if not re.fullmatch(r"_C\w*|_ext|\w+_cuda|\w+_ext|\w+_cpp|C", hit["name"]):
            return (
                extensions.find(f"{hit['module']}.{hit['name']}", frame) if hit["partial"] else None
            )
        name = f"{hit['module']}.{hit['name']}"
    return extensions.find(name, frame)


def _frame(hit: Hit) -> str:
    """The file that the traceback ends in."""
    for line in reversed(hit.log.near(hit.line, before=14)):
        found = _FRAME.search(line)
        if found:
            return found[1]
    return ""


def _extension_cause(hit: Hit) -> str:
    found = _compiled(hit)
    assert found is not None
    name = hit["module"] if hit.kind == "missing-module" else hit["name"]
    frame = owner(_frame(hit))
    where = (
        f"the installed {found.project or frame.name} has none"
        if frame.kind == "package"
        else "it was not built here"
    )
    return (
        f"{name} is the compiled part of {found.project or 'the project'}, and {where}: it was installed without "
        "its ops, or not compiled for this Python, torch and CUDA."
    )


def _extension_fix(hit: Hit) -> Iterator[Fix]:
    found = _compiled(hit)
    assert found is not None
    yield fixes.say(
        "a CUDA toolkit has to be there while it is built: nvcc, CUDA_HOME, and a torch with CUDA:"
    )
    yield ASK_TORCH
    yield from extensions.build(found, hit, _frame(hit))


# -- versions ------------------------------------------------------------------------------------------------


def _pkg_resources_fix(hit: Hit) -> Iterator[Fix]:
    row = torch_release(hit["torch"]) if hit["torch"] else None
    wanted = row.setuptools if row and row.setuptools else "<81"
    yield install(hit, f"setuptools{wanted}")
    if _isolated(hit) or _in_build(hit):
        yield fixes.say("then build with the setuptools of this environment:")
        yield build(hit)


def _offered(hit: Hit) -> str:
    versions = [item.strip() for item in hit["offered"].split(",") if item.strip()]
    if not versions or versions == ["none"]:
        return ""
    return f" (pip offers {versions[0]} to {versions[-1]})"


def _wanted(hit: Hit) -> str:
    return hit["wanted"].strip()


def _exact(hit: Hit) -> str:
    return re.sub(r"^==\s*", "", _wanted(hit))


def _torch_version_cause(hit: Hit) -> str:
    wanted = _exact(hit)
    known = [version for row in table().torch for version in row.versions]
    public = wanted.split("+")[0]
    if hit.context.mac and "+cu" in wanted:
        return f"There is no torch with CUDA for macOS, and so no torch {wanted}."
    if public in known:
        python, row = hit["python"], torch_release(public)
        if python and row and not row.supports_python(python):
            return (
                f"torch {public} has wheels for Python {row.python[0]} to {row.python[1]} only, "
                f"and this is Python {python}."
            )
        return f"torch {wanted} has no wheel for this Python, system and index{_offered(hit)}."
    return f"There is no torch {wanted}{_offered(hit)}."


def _torch_version_fix(hit: Hit) -> Iterator[Fix]:
    public, _, local = _exact(hit).partition("+")
    if hit.context.mac:
        local = ""
    row = torch_release(public)
    if row is None or public not in row.versions:
        yield fixes.install_torch()
        return
    if not (hit["python"] and row.supports_python(hit["python"])):
        name = f"torch{row.release}"
        yield fixes.command("conda", "create", "-n", name, f"python={row.python[1]}")
        yield fixes.command("conda", "activate", name)
    found = re.fullmatch(r"cu(\d+)(\d)", local)
    yield fixes.install_torch(
        public, "cpu" if local == "cpu" else f"{found[1]}.{found[2]}" if found else None
    )


#: Packages whose name says for which CUDA they are, and the endings that exist.
_BY_CUDA = {
    "spconv": (
        "cu102",
        "cu113",
        "cu114",
        "cu116",
        "cu117",
        "cu118",
        "cu120",
        "cu121",
        "cu124",
        "cu126",
    ),
    "cumm": (
        "cu102",
        "cu113",
        "cu114",
        "cu116",
        "cu117",
        "cu118",
        "cu120",
        "cu121",
        "cu124",
        "cu126",
    ),
    "cupy": ("cuda11x", "cuda12x", "cuda13x"),
    "nvidia-dali": ("cuda110", "cuda120", "cuda130"),
}


def _sibling(hit: Hit) -> str | None:
    """For "spconv-cu128", the newest that there is: "spconv-cu126"."""
    stem, _, ending = hit["name"].rpartition("-")
    known = _BY_CUDA.get(stem)
    if known is None or ending in known:
        return None
    digits = "".join(filter(str.isdigit, ending))
    older = [name for name in known if "".join(filter(str.isdigit, name)) <= digits]
    return f"{stem}-{(older or list(known))[-1]}"


def _package_cause(hit: Hit) -> str:
    sibling = _sibling(hit)
    name = f"{hit['name']}{_wanted(hit)}"
    text = hit.around(before=6, after=2)
    if re.search(r"CERTIFICATE_VERIFY|SSLError|certificate", text):
        return f"pip does not reach its index: the certificate of the connection is not trusted, so that it finds no {name}."
    if re.search(
        r"NewConnectionError|ConnectTimeout|ProxyError|Name or service|name resolution|timed out",
        text,
    ):
        return f"pip does not reach its index (see the warnings above), so that it finds no {name}."
    if sibling:
        return f"There is no {name}: of packages that are named after a CUDA, {sibling} is the newest that fits."
    return (
        f"pip finds no {name} for this Python"
        + (
            _offered(hit)
            or ": the name is wrong, it has no wheel for this system, or pip does not reach its index"
        )
        + "."
    )


def _package_fix(hit: Hit) -> Iterator[Fix]:
    sibling, text = _sibling(hit), hit.around(before=6, after=2)
    if "ertificate" in text or "SSLError" in text:
        yield fixes.say("the certificate of your proxy, as a file, for pip and what it starts:")
        yield fixes.set_env("PIP_CERT", "/etc/ssl/certs/ca-certificates.crt")
        yield fixes.set_env("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
        yield fixes.set_env("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    elif sibling:
        yield install(hit, sibling)
    yield fixes.pip("config", "list")
    yield fixes.pip("index", "versions", operands=(hit["name"],))


def _conflict_cause(hit: Hit) -> str:
    pairs = re.findall(
        r"(?:The user requested |^)?([\w.-]+ [\d.+\w]+ (?:depends on|requires) [\w.<>=!~ ,-]+)",
        hit.around(after=12),
        re.M,
    )
    named = hit["name"] or hit["text"]
    what = f": {named}" if named else ""
    return f"The versions that are asked for conflict{what}" + (
        f" ({'; '.join(pairs[:3])})." if pairs else "."
    )


def _conflict_fix(hit: Hit) -> Iterator[Fix]:
    text = hit.around(before=6, after=14)
    torch = re.search(r"\btorch==(\d+\.\d+)\.(\d+)", text)
    if torch and re.search(r"torchvision|torchaudio", text):
        minor = int(torch[1].split(".")[1]) + 15
        yield fixes.say("torchvision and torchaudio that go together with this torch:")
        yield fixes.pip_install(
            f"torch=={torch[1]}.{torch[2]}",
            f"torchvision==0.{minor}.*",
            f"torchaudio=={torch[1]}.*",
        )
        yield fixes.say("or all of them without a version, so that pip chooses:")
        yield fixes.pip_install("torch", "torchvision")
        return
    yield fixes.say("ask for one of them without a version, or for versions of one time:")
    yield fixes.pip("check")


RULES = (
    LogRule(
        id="torch-utils-ffi",
        title="torch.utils.ffi is gone",
        patterns=(
            ("Error: torch.utils.ffi", r"ImportError: torch\.utils\.ffi is deprecated"),
            ("No module named", r"No module named '?torch\.utils\.ffi"),
            ("cannot import name", r"ImportError: cannot import name '?create_extension"),
        ),
        cause="The project builds with torch.utils.ffi, which torch removed in 1.0.",
        fix=lambda hit: (
            port(hit),
            fixes.say("it says what is left to do: a pybind11 module for the C glue"),
        ),
        example="ImportError: torch.utils.ffi is deprecated. Please use cpp extensions instead.",
    ),
    LogRule(
        id="torch-six",
        title="torch._six is gone",
        patterns=(("No module named", r"No module named '?torch\._six"),),
        cause="The project imports torch._six, which torch removed in 2.0.",
        fix=lambda hit: (port(hit),),
        example="ModuleNotFoundError: No module named 'torch._six'",
    ),
    LogRule(
        id="legacy-autograd",
        title="Autograd function without staticmethod",
        patterns=(
            (
                "Error: Legacy autograd function",
                r"Legacy autograd function with non-static forward method is deprecated",
            ),
        ),
        unless=r"Warning",
        cause="An autograd.Function of the project has a non-static forward, which torch has refused since 1.5.",
        fix=lambda hit: (port(hit),),
        example="RuntimeError: Legacy autograd function with non-static forward method is "
        "deprecated. Please use new-style autograd function with static forward method.",
    ),
    LogRule(
        id="build-isolation",
        title="torch is not visible in the build environment",
        kinds=("missing-module",),
        where={"module": r"torch(?:\.utils(?:\.cpp_extension)?)?"},
        unless=r"[Ww]arning|Error caught was|Skipping|skipping",
        when=_isolated,
        cause="pip builds in an environment of its own, which has no torch: the project's setup.py "
        "imports torch without asking for it.",
        fix=_isolation_fix,
        example="× Getting requirements to build wheel did not run successfully.\n"
        "ModuleNotFoundError: No module named 'torch'",
    ),
    LogRule(
        id="torch-missing",
        title="This Python has no torch",
        kinds=("missing-module",),
        where={"module": r"torch(?:\.utils(?:\.cpp_extension)?)?"},
        unless=r"[Ww]arning|Error caught was|Skipping|skipping",
        cause="The Python that runs the build has no torch: it is another one than meant (sudo, cron "
        "and IDEs choose their own), or torch is not installed.",
        fix=(
            fixes.command("python", "-c", "import sys; print(sys.executable)"),
            fixes.install_torch(),
            fixes.pip("install", "--no-build-isolation", "."),
        ),
        example="ModuleNotFoundError: No module named 'torch'",
    ),
    LogRule(
        id="pkg-resources",
        title="setuptools is too new for this torch",
        kinds=("missing-module", "missing-import"),
        where={"module": r"pkg_resources.*"},
        unless=r"[Ww]arning",
        cause="What is built, or its torch, imports pkg_resources, which the installed setuptools no longer has.",
        fix=_pkg_resources_fix,
        example="ModuleNotFoundError: No module named 'pkg_resources'",
    ),
    LogRule(
        id="torch-version-unavailable",
        title="There is no such torch here",
        kinds=("no-distribution",),
        where={"name": "torch", "wanted": r"=.*"},
        cause=_torch_version_cause,
        fix=_torch_version_fix,
        example="ERROR: Could not find a version that satisfies the requirement torch==1.16 "
        "(from versions: 2.13.0, 2.14.1)",
    ),
    LogRule(
        id="package-not-found",
        title="There is no such package",
        kinds=("no-distribution",),
        when=lambda hit: bool(hit["name"]) and "conda" not in hit.text,
        unless=r"PackagesNotFound|nothing provides|does not exist \(perhaps",
        cause=_package_cause,
        fix=_package_fix,
        example="ERROR: Could not find a version that satisfies the requirement setuptools>=40.8.0 "
        "(from versions: none)",
    ),
    LogRule(
        id="version-conflict",
        title="The wanted versions do not go together",
        kinds=("version-conflict",),
        cause=_conflict_cause,
        fix=_conflict_fix,
        explains=("package-not-found", "torch-version-unavailable"),
        example="ERROR: Cannot install torch==2.6.0 and torchvision==0.22.0 because these package versions have "
        "conflicting dependencies.",
    ),
    LogRule(
        id="extension-not-built",
        title="The compiled part of a package is missing",
        kinds=("missing-module", "missing-import", "undefined-name"),
        when=lambda hit: _compiled(hit) is not None,
        unless=r"Error caught was|Skipping",
        cause=_extension_cause,
        fix=_extension_fix,
        explains=("not-compiled-with-gpu",),
        example="ModuleNotFoundError: No module named 'mmcv._ext'",
    ),
    LogRule(
        id="build-dependency-missing",
        title="A module that the build needs is missing",
        kinds=("missing-module",),
        where={"module": r"(?!torch\b|distutils|setuptools|pkg_resources).*"},
        unless=r"Warning|warning|Error caught was|Skipping",
        when=_in_build,
        cause=lambda hit: (
            f"The build imports {hit['module']}, which "
            + (
                "is not in the environment that pip builds in."
                if _isolated(hit)
                else "is not installed."
            )
        ),
        fix=_module_fix,
        example='  File "setup.py", line 5, in <module>\n'
        "ModuleNotFoundError: No module named 'Cython'",
    ),
    LogRule(
        id="module-missing",
        title="A Python module is missing",
        kinds=("missing-module",),
        where={"module": r"(?!torch\b|distutils|setuptools|pkg_resources).*"},
        unless=r"Warning|warning|Error caught was|Skipping",
        cause="The program imports {module}, which is not installed in the Python that runs it.",
        fix=lambda hit: (
            fixes.command("python", "-c", "import sys; print(sys.executable)"),
            install(hit, package_of(hit["module"])),
        ),
        example='Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n'
        "ModuleNotFoundError: No module named 'einops'",
    ),
)
