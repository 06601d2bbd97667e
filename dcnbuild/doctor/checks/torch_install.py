"""The installed torch, and the packages that have to suit it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dcnbuild.base.versions import allows
from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.resolver import resolve
from dcnbuild.doctor.torch_and_toolkit import torch_fix
from dcnbuild.machine import compatibility
from dcnbuild.machine.beside_torch import index
from dcnbuild.machine.compatibility import companion_release, numbers
from dcnbuild.machine.facts import Facts
from dcnbuild.machine.gpus import has_gpu
from dcnbuild.machine.torch_wheels import Wheel
from dcnbuild.machine.wish import Wish, parse_wish


def torch_missing(facts: Facts) -> Iterator[Verdict]:
    if facts.torch is None:
        yield Verdict(*(torch_fix(facts) or (fixes.pip_install("torch"),)))


def torch_cpu_only(facts: Facts) -> Iterator[Verdict]:
    torch = facts.torch
    if torch and not torch.cuda and not torch.hip and (has_gpu(facts) or facts.wants_cuda):
        yield Verdict(*torch_fix(facts))


def torch_for_rocm(facts: Facts) -> Iterator[Verdict]:
    torch = facts.torch
    if torch and torch.hip and facts.wants_cuda is not False and (has_gpu(facts) or facts.wants_cuda):
        yield Verdict(*torch_fix(facts))


def torch_from_conda(facts: Facts) -> Iterator[Verdict]:
    if facts.torch and facts.torch.channel == "pytorch":
        away = fixes.command("conda", "remove", "pytorch", "torchvision", "torchaudio", "pytorch-cuda")
        yield Verdict(away, *filter(None, [resolve(facts).fix]))


def torch_shadowed(facts: Facts) -> Iterator[Verdict]:
    torch, other = facts.torch, next(iter(facts.shadowed_torches), None)
    if torch and other and other.version != torch.version:
        of_user = "/.local/" in str(torch.root)
        yield Verdict(*([fixes.set_env("PYTHONNOUSERSITE", "1")] if of_user else []), other=other)


def numpy2_old_torch(facts: Facts) -> Iterator[Verdict]:
    numpy = facts.python.packages.get("numpy")
    row = compatibility.torch_release(facts.torch.version) if facts.torch else None
    if numpy and row and row.numpy == "<2" and numbers(numpy) >= (2,):
        yield Verdict(fixes.pip_install("numpy<2"), row=row, numpy=numpy)


def torchvision_stale(facts: Facts) -> Iterator[Verdict]:
    """Each release is compiled against one torch. A typical error is `operator torchvision::nms does not exist`."""
    torch, packages = facts.torch, facts.python.packages
    stale = {
        name: (packages[name], wanted)
        for name in ("torchvision", "torchaudio")
        if torch and name in packages and (wanted := companion_release(name, torch.version))
        if numbers(packages[name])[:2] != numbers(wanted)
    }
    if torch is None or not stale:
        return
    named = {"torch": torch.version.partition("+")[0], **{name: f"{wanted}.*" for name, (_, wanted) in stale.items()}}
    fitting = fixes.pip_install(*map("==".join, named.items()), index=index("torchvision", torch.version))
    yield Verdict(
        *(torch_fix(facts) or (fitting,)),
        stale=" and ".join(stale),
        them="them" if len(stale) > 1 else "it",
        pairs=[f"{name} {there}, but this torch needs {wanted}" for name, (there, wanted) in stale.items()],
    )


def _setuptools(facts: Facts) -> str:
    """The requirement that both torch and Python are content with."""
    row = compatibility.torch_release(facts.torch.version) if facts.torch else None
    bounds = [row.setuptools] if row and row.setuptools else []
    if numbers(facts.python.version) >= (3, 12):
        bounds.append(">=66.1")
    return f"setuptools{','.join(bounds)}"


def setuptools_old_python(facts: Facts) -> Iterator[Verdict]:
    """Python 3.12 removed pkgutil.ImpImporter, which pkg_resources used before setuptools 66.1."""
    setuptools, python = facts.python.packages.get("setuptools"), facts.python
    if setuptools and numbers(python.version) >= (3, 12) and numbers(setuptools) < (66, 1):
        yield Verdict(fixes.pip_install(_setuptools(facts)), setuptools=setuptools)


def setuptools_old_torch(facts: Facts) -> Iterator[Verdict]:
    setuptools = facts.python.packages.get("setuptools")
    row = compatibility.torch_release(facts.torch.version) if facts.torch else None
    if setuptools and row and row.setuptools and allows(f"setuptools{row.setuptools}", facts.python.packages) is False:
        imports_it = numbers(row.release) < (2, 2)  # later ones only declare what they want
        fix = fixes.pip_install(_setuptools(facts))
        yield Verdict(fix, row=row, setuptools=setuptools, imports_it=imports_it)


def _wish(facts: Facts) -> Wish | None:
    """Which torch is asked for; None for none, and for a text that the command line refuses."""
    try:
        return None if facts.wanted_torch is None else parse_wish(facts.wanted_torch)
    except ValueError:
        return None


def torch_never_existed(facts: Facts) -> Iterator[Verdict]:
    wish = _wish(facts)
    if problem := wish.unknown() if wish else None:
        fix = filter(None, [resolve(facts).fix])
        yield Verdict(*fix, problem=problem[0].upper() + problem[1:], wish=wish)


def torch_not_for_this_machine(facts: Facts) -> Iterator[Verdict]:
    wanted, wish = facts.wanted_torch, _wish(facts)
    if wanted is None or wish is None or wish.unknown():
        return
    resolution = resolve(facts, wanted)
    if resolution.line is None and resolution.rejected:
        fix = _other_python(facts, wanted, resolution.rejected[0][0])
        yield Verdict(*fix, wish=wish, reasons=resolution.reasons())


def _other_python(facts: Facts, wanted: str, wheel: Wheel) -> tuple[Fix, ...]:
    """The lines that install it under another Python, if that is all it takes."""
    if wheel.release.supports_python(facts.python.version):
        return ()
    version = wheel.release.python[1]
    directory = Path(f"torch-{wheel.torch}")
    python = replace(facts.python, version=version, executable=directory / "bin/python")
    other = replace(facts, python=python)
    fix = resolve(other, wanted).fix
    return (fixes.command(f"python{version}", "-m", "venv", operands=(directory,)), fixes.on(other, fix)) if fix else ()
