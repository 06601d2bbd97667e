"""The Python environment: which one is at work, and what it lacks for building."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
from dcnbuild.doctor.checks.evidence import describe_torch
from dcnbuild.doctor.resolver import forbids
from dcnbuild.machine.facts import Facts


@check("ninja-missing", "No ninja on PATH")
def ninja_missing(facts: Facts) -> Iterator[Verdict]:
    """torch.utils.cpp_extension runs `ninja` from PATH; without it JIT fails and AOT is slow."""
    python = facts.python
    if python.ninja is not None or facts.torch is None:
        return
    if python.hidden_ninja is not None:
        yield Verdict(
            "warning",
            "ninja is installed in this Python environment, but not on PATH, where torch looks.",
            (f"ninja: {python.hidden_ninja}",),
            (fixes.prepend("PATH", python.hidden_ninja.parent),),
        )
        return
    yield Verdict(
        "warning", "torch.utils.cpp_extension.load needs ninja.", ("no ninja on PATH",), (fixes.pip_install("ninja"),)
    )


@check("python-h-missing", "Python's own headers are missing")
def python_h_missing(facts: Facts) -> Iterator[Verdict]:
    if facts.python.has_headers is False and facts.torch is not None:
        version = ".".join(facts.python.version.split(".")[:2])
        yield Verdict(
            "warning",
            "Extensions that include torch/extension.h need Python.h, which is not installed.",
            (f"Python {facts.python.version}: {facts.python.base_prefix}", "no Python.h"),
            (fixes.system_install("python-dev", version),),
        )


@check("venv-mismatch", "Not the Python of the active virtual environment")
def venv_mismatch(facts: Facts) -> Iterator[Verdict]:
    active, python = facts.variables.get("VIRTUAL_ENV"), facts.python
    if not active or python.is_active is not False or facts.machine.sudo_user:
        return
    yield Verdict(
        "warning",
        "A virtual environment is active, but this Python belongs to another one: what is "
        "installed with it does not reach the active one.",
        (f"VIRTUAL_ENV={active}", f"this Python: {python.executable} (prefix {python.prefix})"),
        (  # there is no release on PyPI yet
            fixes.say("in the checkout of dcnbuild:"),
            fixes.command(f"{active}/bin/python", "-m", "pip", "install", "-v", "."),
        ),
    )


@check("sudo-python", "sudo runs another Python")
def sudo_python(facts: Facts) -> Iterator[Verdict]:
    """sudo resets PATH, so that `sudo python` and `sudo pip` leave the virtual environment."""
    machine, python = facts.machine, facts.python
    if not machine.sudo_user or not machine.root or python.prefix != python.base_prefix:
        return
    yield Verdict(
        "warning",
        f"Under sudo this is the system's Python, not the one that {machine.sudo_user} uses; "
        "builds and installs need no sudo.",
        (f"SUDO_USER={machine.sudo_user}", f"this Python: {python.executable}"),
        (fixes.say("without sudo:"), fixes.command("python", "-m", "dcnbuild", "doctor")),
    )


@check("pip-constraint", "pip is told to want other versions")
def pip_constraint(facts: Facts) -> Iterator[Verdict]:
    """A constraint on torch that the installed one breaks makes builds fetch another torch."""
    torch = facts.torch
    if torch is None or not facts.python.constraints:
        return
    for source, text in facts.python.constraints:
        if forbids(text, torch.version):
            yield Verdict(
                "warning",
                f"pip is constrained to {text}, but torch {torch.version} is installed: an isolated "
                "build compiles against the other one.",
                (source, text, describe_torch(facts)),
                (fixes.unset_env("PIP_CONSTRAINT"),) if source.startswith("PIP_CONSTRAINT") else (),
            )
