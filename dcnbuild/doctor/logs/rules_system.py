"""The machine itself: memory, disk, permissions, locks, and compilers that crash."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs.rule import Hit, Level, LogRule
from dcnbuild.doctor.logs.rules_nvcc import OTHER_TMP
from dcnbuild.doctor.parse.patterns import LETTER, START


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


_NO_SPACE = (
    "ptxas-error",
    "nvcc-fatal",
    "compiler-crash",
    "nvcc-temporary-files",
    "undefined-reference",
    "multiple-definition",
    "source-missing",
)

RULES = (
    LogRule(
        id="no-space",
        title="The disk is full",
        patterns=(
            ("No space left on device", r"No space left on device"),
            ("[Errno 28]", r"\[Errno 28\]"),
            ("is not enough space", r"There is not enough space on the disk"),
            ("Disk quota exceeded", r"Disk quota exceeded"),
            ("[Errno 2]", r"No usable temporary directory found"),
        ),
        cause="The disk (or the quota) that the build writes to is full.",
        fix=_space_fix,
        explains=_NO_SPACE,
        example="/tmp/tmpxft_00003e1a_00000000-6.cudafe1.cpp: catastrophic error: error while "
        "writing generated C++ file: No space left on device",
    ),
    LogRule(
        id="out-of-memory",
        title="Out of memory",
        patterns=(
            ("Killed", r"Killed signal terminated program \w+"),
            ("Killed", r"internal compiler error: Killed \(program \w+\)"),
            ("Killed", r"terminated (?:with|by) signal 9(?: \[Killed\])?"),
            ("Killed", r"^(?:\S+: (?:line )?\d+: +)?\d*\s*Killed(?:\s+.*)?$"),
            ("signal 9", r"(?:'[\w+]+' )?died due to signal 9"),
            ("signal 9", r"(?:terminated|killed) (?:with|by) signal 9|exit(?: code|ed)?:? -9\b"),
            ("SIGKILL", r"\bSIGKILL\b"),
            ("exit code 137", r"exit code 137"),
            ("exit code: 137", r"exit code: 137"),
            ("status 137", r"exit status 137"),
            ("virtual memory exhausted", r"virtual memory exhausted"),
            ("Cannot allocate memory", r"Cannot allocate memory"),
            ("out of memory allocating", r"(?:cc1plus|cc1): out of memory allocating"),
            ("LLVM ERROR: out of memory", r"LLVM ERROR: out of memory"),
            (
                "Memory allocation failure",
                r"(?:nvcc|ptxas|nvlink)\b.{0,40}Memory allocation failure",
            ),
            ("std::bad_alloc", r"what\(\):\s+std::bad_alloc|instance of 'std::bad_alloc'"),
            ("fatal error C1060", r"fatal error C1060"),
            ("Out of memory: Kill", r"Out of memory: Kill(?:ed)? process"),
        ),
        unless=r"CUDA out of memory|CUDA error",
        cause=_memory_cause,
        fix=_memory_fix,
        explains=("nvcc-fatal", "compiler-crash", "ptxas-error"),
        example="c++: fatal error: Killed signal terminated program cc1plus",
    ),
    LogRule(
        id="permission-denied",
        title="Permission denied",
        patterns=(
            ("ermission denied", r"\[Errno 13\] Permission denied(?:: '?(?P<path>[^'\n]+))?"),
            (
                "ermission denied",
                r"(?:create|remove|open|copy|write|unlink|output to|file) '?(?P<path>[^':]{1,200})'?: .{0,20}Permission denied",
            ),
            (
                "ermission denied",
                rf"{START}(?P<path>[/~.]{LETTER}{{1,200}})['\"]?: Permission denied",
            ),
            (
                "Access is denied",
                r"(?:WinError 5\]|error:).{0,10}Access is denied(?:: '?(?P<path>[^'\n]+))?",
            ),
            ("[Errno 30]", r"\[Errno 30\] Read-only file system(?:: '?(?P<path>[^'\n]+))?"),
            ("[Errno 1]", r"\[Errno 1\] Operation not permitted(?:: '?(?P<path>[^'\n]+))?"),
        ),
        unless=r"[Ww]arning|WARNING|^find: |^cat: |^ls: ",
        cause=_permission_cause,
        fix=_permission_fix,
        example="PermissionError: [Errno 13] Permission denied: '/tmp/torch_extensions/fused'",
    ),
    LogRule(
        id="lock-wait",
        title="Waiting for a lock that nobody holds",
        patterns=(
            ("file_baton", r"file_baton\.py\"?,? (?:line \d+,? )?in wait"),
            ("file_baton", r"file_baton\.py.{0,20}\bwait\b"),
            ("Waited on lock file", r"Waited on lock file \"?(?P<path>[^\s\"]+)"),
            ("baton.wait()", r"\bbaton\.wait\(\)"),
        ),
        warns=True,
        cause=_lock_cause,
        fix=_lock_fix,
        example='  File "/opt/conda/lib/python3.8/site-packages/torch/utils/file_baton.py", line 42 '
        "in wait",
    ),
    LogRule(
        id="compiler-crash",
        title="A compiler crashed",
        level=Level.SYMPTOM,
        patterns=(
            ("internal compiler error", r"internal compiler error: (?P<what>(?!Killed).{0,120})"),
            ("died due to signal", r"(?P<what>'[\w+.]+' died due to signal (?!9\b)\d+.{0,30})"),
            ("died with status", r"(?P<what>'[\w+.]+' died with status 0x[\dA-F]+.{0,40})"),
            (
                "core dumped",
                r"(?P<what>(?:Segmentation fault|Aborted).{0,20}\(core dumped\).{0,60})",
            ),
            ("fatal error C1001", r"fatal error C1001:(?P<what>.{0,80})"),
        ),
        when=lambda hit: (
            "core dumped" not in hit.match.group()
            or bool(
                re.search(
                    r"nvcc|cc1plus|g\+\+|ninja|cicc|ptxas|make", hit.around(before=6, after=3)
                )
            )
        ),
        cause="A compiler crashed: {what}",
        fix=(
            fixes.say("memory is the most frequent reason:"),
            fixes.set_env("MAX_JOBS", "1"),
            fixes.command("g++", "--version"),
        ),
        example="src/kernel.cu:88:1: internal compiler error: Segmentation fault",
    ),
)
