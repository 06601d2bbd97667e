"""The Python environment: which one is at work, and what it lacks for building."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.base.versions import allows
from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
from dcnbuild.machine.facts import Facts


@check("ninja-missing")
def ninja_missing(facts: Facts) -> Iterator[Verdict]:
    """torch.utils.cpp_extension runs `ninja` from PATH; without it JIT fails and AOT is slow."""
    python = facts.python
    if python.ninja is None and facts.torch is not None:
        hidden = python.hidden_ninja
        yield Verdict(fixes.pip_install("ninja") if hidden is None else fixes.prepend("PATH", hidden.parent))


@check("python-h-missing")
def python_h_missing(facts: Facts) -> Iterator[Verdict]:
    if facts.python.has_headers is False and facts.torch is not None:
        yield Verdict(fixes.system_install("python-dev", ".".join(facts.python.version.split(".")[:2])))


@check("venv-mismatch")
def venv_mismatch(facts: Facts) -> Iterator[Verdict]:
    active = facts.variables.get("VIRTUAL_ENV")
    if active and facts.python.is_active is False and not facts.machine.sudo_user:
        yield Verdict(  # there is no release on PyPI yet
            fixes.say("in the checkout of dcnbuild:"),
            fixes.command(f"{active}/bin/python", "-m", "pip", "install", "-v", "."),
        )


@check("sudo-python")
def sudo_python(facts: Facts) -> Iterator[Verdict]:
    """sudo resets PATH, so that `sudo python` and `sudo pip` leave the virtual environment."""
    machine, python = facts.machine, facts.python
    if machine.sudo_user and machine.root and python.prefix == python.base_prefix:
        yield Verdict(fixes.say("without sudo:"), fixes.command("python", "-m", "dcnbuild", "doctor"))


@check("pip-constraint")
def pip_constraint(facts: Facts) -> Iterator[Verdict]:
    """A constraint on torch that the installed one breaks makes builds fetch another torch."""
    torch = facts.torch
    for source, text in facts.python.constraints if torch else ():
        if torch and allows(text, {"torch": torch.version}) is False:
            fix = (fixes.unset_env("PIP_CONSTRAINT"),) if source.startswith("PIP_CONSTRAINT") else ()
            yield Verdict(*fix, source=source, text=text)
