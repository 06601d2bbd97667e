"""Python's side: modules that are missing, in pip's own environment or in the user's, and versions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import extensions
from dcnbuild.doctor.logs.advice import ASK_TORCH, build, install
from dcnbuild.doctor.logs.owner import owner, package_of
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.machine.compatibility import table, torch_release

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


#: spconv and cumm are released together, for the same CUDAs.
_SPCONV_CUDAS = (
    *("cu102", "cu113", "cu114", "cu116", "cu117", "cu118", "cu120", "cu121", "cu124", "cu126"),
)
#: Packages whose name says for which CUDA they are, and the endings that exist.
_BY_CUDA = {
    "spconv": _SPCONV_CUDAS,
    "cumm": _SPCONV_CUDAS,
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
    named = (hit["name"] or hit["text"]).rstrip(" .:")
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


def _package_not_found_when(hit: Hit) -> bool:
    return bool(hit["name"]) and "conda" not in hit.text


def _build_dependency_missing_cause(hit: Hit) -> str:
    return f"The build imports {hit['module']}, which " + (
        "is not in the environment that pip builds in." if _isolated(hit) else "is not installed."
    )


def _module_missing_fix(hit: Hit) -> Iterable[Fix]:
    return (
        fixes.command("python", "-c", "import sys; print(sys.executable)"),
        install(hit, package_of(hit["module"])),
    )


# -- wheels ---------------------------------------------------------------------------------------------


def _of_tag(tag: str) -> str:
    """The Python of a wheel's tag: "cp310" → "3.10", "" for one that names none."""
    found = re.match(r"cp(3)(\d{1,2})", tag)
    return f"{found[1]}.{found[2]}" if found else ""


def _running(hit: Hit) -> str:
    """The Python that the log shows beside the wheel's, "" if it shows none."""
    text = hit.around(before=30, after=10).replace(hit["name"], "")
    found = re.search(r"\b[Pp]ython[ -]?(3\.\d{1,2})|cp(3)(\d{1,2})\b", text)
    return (found[1] or f"{found[2]}.{found[3]}") if found else ""


def wheel_cause(hit: Hit) -> str:
    """What the wheel's name says that it is for."""
    python, have = _of_tag(hit["python"]), _running(hit)
    parts = [f"Python {python}" if python else "", hit["platform"]]
    meant = " and ".join(filter(None, parts)) or "another Python or system"
    this = f" than this Python {have}" if have and have != python else ""
    return f"{hit['name']} is for {meant}: another Python, CPU or system{this}."


def wheel_fix(hit: Hit) -> Iterator[Fix]:
    """The matching wheel, or the Python that the wheel is for."""
    python, have = _of_tag(hit["python"]), _running(hit)
    tag = f"cp{have.replace('.', '')}" if have else "cp and the version of your Python"
    yield fixes.command(
        "python", "-c", "import sys, sysconfig; print(sys.version, sysconfig.get_platform())"
    )
    yield fixes.say(f"take the matching wheel, whose name has {tag} and this platform")
    if re.search(r"-(?:win|linux|macosx|manylinux)", "-" + hit["platform"]):
        yield fixes.say(
            "linux_x86_64 is for Linux on Intel and AMD, aarch64 and arm64 for ARM, win_amd64 for Windows"
        )
    if python:
        yield fixes.say(f"or make an environment with Python {python}, for which this wheel is:")
        yield fixes.command(
            "conda", "create", "-n", f"py{python.replace('.', '')}", f"python={python}"
        )
    yield fixes.say("an old pip knows fewer platforms, such as manylinux_2_28:")
    yield fixes.pip_install("pip", options=("--upgrade",))
