"""Headers that are not on the machine: CUDA's, and everybody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs.fix_verbs import again, build, submodules
from dcnbuild.doctor.logs.lookups import source, tables
from dcnbuild.doctor.logs.owner import owner
from dcnbuild.doctor.logs.project import own_copy
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.doctor.logs.system_verbs import system_package
from dcnbuild.knowledge import Entry, modules
from dcnbuild.knowledge import headers as known
from dcnbuild.machine.versions import larger


def moved(hit: Hit) -> bool:
    """Whether the toolkit keeps the header in another directory since some release (Thrust, CUB, libcu++)."""
    changes = (entry.changes if (entry := known.exact(hit["header"])) else ())[1:]
    in_cccl = re.match(r"(?:thrust|cub|cuda|nv)/", hit["header"])
    since = changes[-1][0] if changes else "13.0" if in_cccl else None
    shown = hit["toolkit"] or re.search(r"\.(?:cpp|cc|cxx|c)$", hit["source"])
    return bool(since and shown and not larger(since, hit["toolkit"]))


def gone(hit: Hit) -> Entry | None:
    """What the table has of a header that CUDA lost, with what stands for it; None where the toolkit should have it."""
    entry = known.exact(hit["header"])
    if entry is None or entry.removed is None or larger(entry.removed, hit["toolkit"]):
        return None
    today = tables.rows("headers_today")
    return replace(entry, replacement=today.get(entry.name) or entry.replacement or "none, remove it")


def since(hit: Hit) -> str | None:
    """The first CUDA with the header, where the toolkit in use is older."""
    first, had = added(hit) or tables.begins("headers_since", hit["header"]), hit["toolkit"] or hit["torch_cuda"]
    # where neither is known: each toolkit has all headers of the runtime
    return first if larger(first, had or "0" * hit["header"].startswith("cuda_")) else None


def added(hit: Hit) -> str:
    """The first release with the header, "" where the oldest that is known has it."""
    return (entry.added if (entry := known.exact(hit["header"])) else None) or ""


def other_fix(hit: Hit) -> Iterator[Fix]:
    """What brings anybody's header: a package of pip or of the system, or git's submodules."""
    header, rows = hit["header"], tables.rows("headers").items()
    how = next((how for start, how in rows if f"/{start}" in f"/{header}"), "")
    if how.startswith("pip "):
        yield fixes.pip_install(how.removeprefix("pip "))
        yield from build(hit)
        return
    maker, fetched = owner(hit["source"]).package, how in ("", "submodules")  # which the archive of an index lacks
    row, anew = modules.of_package(maker), ("--force-reinstall", "--no-cache-dir", "--no-deps")
    built = source.archive(hit) if fetched else ""
    if fetched and maker not in ("", built) and row is not None and row.repository:
        yield fixes.say(f"The installed {maker} is incomplete. Install it out of its repository, with its submodules:")
        inside = f"#subdirectory={row.inside}" if row.inside and "#" not in row.install[-1][-1] else ""
        url = f"git+https://github.com/{row.repository}{inside}"
        yield fixes.pip("install", *anew, "--no-build-isolation", operands=(url,))
        return
    if fetched and maker not in ("", built):  # nobody has a checkout of what is installed
        yield fixes.say(f"The installed {maker} is incomplete, or was only built in part. Install it again:")
        yield fixes.pip_install(maker, options=anew)
        return
    if built:
        yield fixes.say(f"The source archive of {built} may lack this header. A clone of its repository has it:")
        row, release = modules.of_package(built), re.sub(r"^[\w.-]+==", "@v", hit["pinned"])
        address = f"git+https://github.com/{row.repository if row else 'OWNER/REPOSITORY'}{release}"
        yield fixes.pip("install", "--no-build-isolation", operands=(address,))
    elif fetched:
        if not hit["project"].startswith(".") and not hit.context.command:  # what was asked for is asked for from here
            yield fixes.command("cd", operands=(hit["project"],))
        yield from submodules(hit)
        if how and own_copy(hit) is None:
            yield from again(hit)
    if not how:
        yield fixes.say("or find the package that contains it:")
        yield fixes.command("apt-file", "search", operands=(f"/{header}",))
    for name in how.split() if how != "submodules" else ():
        yield from system_package(hit, name, header)
        directory = tables.rows("header_directories").get(name)
        if directory and hit.target.manager == "apt-get" and not hit.context.windows:
            yield fixes.prepend("CPATH", directory)
