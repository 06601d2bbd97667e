"""The machine itself: memory, disk, permissions, locks, and compilers that crash."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.doctor.logs.rules_nvcc import OTHER_TMP


def _memory_fix(hit: Hit) -> Iterator[Fix]:
    jobs = hit.context.first(re.compile(r"\bninja .{0,20}-j ?(\d+)|MAX_JOBS=(\d+)"), reach=2000)
    count = next((int(group) for group in jobs.groups() if group), 0) if jobs else 0
    wanted = str(max(1, count // 2) if count > 2 else 1)
    if hit.context.first(re.compile(r"[Cc][Mm]ake"), reach=200):
        yield fixes.set_env("CMAKE_BUILD_PARALLEL_LEVEL", wanted)
    yield fixes.set_env("MAX_JOBS", wanted)
    if not hit.context.windows:
        yield fixes.command("free", "-h")


def _memory_cause(hit: Hit) -> str:
    found = re.search(r"cc1plus|cicc|cudafe\+\+|ptxas|ld\b|cc1\b|nvlink|clang", hit.match.group())
    which = found.group() if found else "a compiler"
    return f"The machine ran out of memory: {which} was killed (each job takes gigabytes)."


def _space_fix(hit: Hit) -> Iterator[Fix]:
    path = re.search(r"(/(?:tmp|var/tmp|dev/shm))\b", hit.log.text(hit.line))
    if hit.context.windows:
        yield fixes.set_env("TMP", r"D:\tmp")
        yield fixes.set_env("TEMP", r"D:\tmp")
        yield fixes.pip("cache", "purge")
    elif path or re.search(r"tmpxft|pip-|/T/", " ".join(hit.log.near(hit.line, 5, 5))):
        yield from OTHER_TMP
    else:
        yield fixes.command("df", "-h", ".", "/tmp")
        yield fixes.pip("cache", "purge")


def _permission_cause(hit: Hit) -> str:
    path = hit["path"].strip()
    if "torch_extensions" in path or "torch_extensions" in hit.log.text(hit.line):
        return f"torch's cache of compiled extensions is not this user's to write: {path}."
    return f"This user may not open or write {path or 'what the build writes'}."


def _permission_fix(hit: Hit) -> Iterator[Fix]:
    path = hit["path"].strip()
    if "torch_extensions" in path:
        yield fixes.set_env_from(
            "TORCH_EXTENSIONS_DIR", "sh", "-c", 'echo "$HOME/.cache/torch_extensions_$(id -un)"'
        )
    elif re.search(r"site-packages|dist-packages|/usr/(?:local/)?(?:lib|bin)|/opt/", path):
        yield fixes.command("python3", "-m", "venv", "venv")
        yield fixes.say("then activate it, and install into it")
    elif hit.context.windows:
        yield fixes.say("end the Pythons that have the module loaded, then build again")
    elif re.search(r"(?:^|/)(?:build|dist|[\w.-]+\.egg-info)(?:/|$)", path):
        yield fixes.say("left by a build with sudo:")
        yield fixes.command("sh", "-c", 'chown -R "$SUDO_UID" build dist *.egg-info', root=True)
    else:
        where = path.rpartition("/")[0] or "."
        yield fixes.command("ls", "-ld", operands=(where,))
        yield fixes.say("build in a directory of your own, and without sudo")


def _lock_cause(hit: Hit) -> str:
    path = hit["path"]
    return (
        "torch waits for a lock file of an extension build that was killed"
        + (f": {path}" if path else "")
        + " (torch before 2.14 never notices)."
    )


def _lock_fix(hit: Hit) -> Iterator[Fix]:
    yield fixes.say("while no build is running:")
    if hit["path"]:
        yield fixes.remove(hit["path"])
        return
    found = hit.context.first(
        re.compile(r"Using (\S+torch_extensions\S*) as PyTorch extensions root")
    )
    if found:
        yield fixes.command("find", found.group(1).rstrip("."), "-name", "lock", "-delete")
    else:
        yield fixes.command(
            "sh",
            "-c",
            'find "${TORCH_EXTENSIONS_DIR:-$HOME/.cache/torch_extensions}" -name lock -delete',
        )


def _compiler_crash_when(hit: Hit) -> bool:
    return "core dumped" not in hit.match.group() or bool(
        re.search(r"nvcc|cc1plus|g\+\+|ninja|cicc|ptxas|make", hit.around(before=6, after=3))
    )
