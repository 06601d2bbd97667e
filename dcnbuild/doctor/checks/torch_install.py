"""The installed torch, and the packages that have to suit it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
from dcnbuild.doctor.checks.evidence import describe_gpu, describe_torch
from dcnbuild.doctor.fixes import INDEX
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.resolver import Wheel, has_gpu, resolve
from dcnbuild.doctor.torch_and_toolkit import torch_fix
from dcnbuild.machine import compatibility
from dcnbuild.machine.compatibility import companion_release, numbers
from dcnbuild.machine.facts import Facts
from dcnbuild.machine.wish import Wish, parse_wish


@check("torch-missing", "No torch in this Python environment", builds=True)
def torch_missing(facts: Facts) -> Iterator[Verdict]:
    if facts.torch is None:
        yield Verdict(
            "error",
            "There is no torch that this Python could import.",
            (f"Python {facts.python.version}: {facts.python.executable}",),
            torch_fix(facts) or (fixes.pip_install("torch"),),
        )


@check("torch-cpu-only", "torch is not compiled with GPU support", builds=True)
def torch_cpu_only(facts: Facts) -> Iterator[Verdict]:
    torch = facts.torch
    if torch is None or torch.cuda or torch.hip:
        return
    if not has_gpu(facts) and not facts.wants_cuda:
        return
    gpus = tuple(map(describe_gpu, facts.driver.gpus)) or (
        f"NVIDIA devices on the PCI bus: {facts.driver.devices or 0}",
    )
    yield Verdict(
        "error" if facts.wants_cuda else "warning",
        "This torch was built for the CPU only: it cannot use a GPU, and nothing CUDA can be compiled against it.",
        (describe_torch(facts), *gpus),
        torch_fix(facts),
    )


@check("torch-for-rocm", "torch for ROCm on a machine with an NVIDIA GPU", builds=True)
def torch_for_rocm(facts: Facts) -> Iterator[Verdict]:
    torch = facts.torch
    if torch is None or not torch.hip or facts.wants_cuda is False:
        return
    if not (has_gpu(facts) or facts.wants_cuda):
        return
    yield Verdict(
        "error",
        f"torch {torch.version} was built for ROCm {torch.hip}: it cannot use an NVIDIA GPU, and "
        "nothing CUDA can be compiled against it.",
        (describe_torch(facts), *map(describe_gpu, facts.driver.gpus)),
        torch_fix(facts),
    )


@check("torch-from-conda", "torch from PyTorch's conda channel")
def torch_from_conda(facts: Facts) -> Iterator[Verdict]:
    torch = facts.torch
    if torch is None or torch.channel != "pytorch":
        return
    yield Verdict(
        "note",
        "PyTorch's conda channel has had no release after 2.5: newer ones come as pip wheels.",
        (describe_torch(facts), "conda channel: pytorch"),
        (
            fixes.command("conda", "remove", "pytorch", "torchvision", "torchaudio", "pytorch-cuda"),
            *filter(None, [resolve(facts).fix]),
        ),
    )


@check("torch-shadowed", "Two torches in one environment")
def torch_shadowed(facts: Facts) -> Iterator[Verdict]:
    torch = facts.torch
    if torch is None or not facts.shadowed_torches:
        return
    other = facts.shadowed_torches[0]
    if other.version == torch.version:
        return
    user_site = "/.local/" in str(torch.root)
    yield Verdict(
        "warning",
        f"`import torch` gets {torch.version}, and another one, {other.version}, lies behind it.",
        (f"{torch.version}: {torch.root}", f"{other.version}: {other.root}"),
        (fixes.set_env("PYTHONNOUSERSITE", "1"),) if user_site else (),
    )


@check("numpy2-old-torch", "numpy 2 with a torch that was built for numpy 1")
def numpy2_old_torch(facts: Facts) -> Iterator[Verdict]:
    numpy = facts.python.packages.get("numpy")
    row = compatibility.torch_release(facts.torch.version) if facts.torch else None
    if numpy and row and row.numpy == "<2" and numbers(numpy) >= (2,):
        yield Verdict(
            "error",
            f"torch {row.release} was built for numpy 1: with numpy {numpy} its conversions fail.",
            (describe_torch(facts), f"numpy {numpy}"),
            (fixes.pip_install("numpy<2"),),
        )


@check("torchvision-stale", "torchvision or torchaudio of another torch")
def torchvision_stale(facts: Facts) -> Iterator[Verdict]:
    """They are compiled against one torch; `operator torchvision::nms does not exist` is one way it shows."""
    torch, packages = facts.torch, facts.python.packages
    stale = {
        name: (packages[name], wanted)
        for name in ("torchvision", "torchaudio")
        if torch and name in packages and (wanted := companion_release(name, torch.version))
        if numbers(packages[name])[:2] != numbers(wanted)
    }
    if torch is None or not stale:
        return
    tag = torch.version.partition("+")[2]
    known = tag == "cpu" or tag.startswith("cu")
    yield Verdict(
        "error",
        f"{' and '.join(stale)} of another torch: importing "
        f"{'them' if len(stale) > 1 else 'it'} fails beside torch {torch.version}.",
        (
            describe_torch(facts),
            *(f"{name} {there}, and {wanted} goes with it" for name, (there, wanted) in stale.items()),
        ),
        torch_fix(facts)
        or (
            fixes.pip_install(
                f"torch=={torch.version.partition('+')[0]}",
                *(f"{name}=={wanted}.*" for name, (_, wanted) in stale.items()),
                index=("--index-url", f"{INDEX}/{tag}") if known else (),
            ),
        ),
    )


def _setuptools(facts: Facts) -> str:
    """The requirement that both torch and Python are content with."""
    row = compatibility.torch_release(facts.torch.version) if facts.torch else None
    bounds = [row.setuptools] if row and row.setuptools else []
    if numbers(facts.python.version) >= (3, 12):
        bounds.append(">=66.1")
    return f"setuptools{','.join(bounds)}"


@check("setuptools-old-python", "setuptools that this Python cannot run")
def setuptools_old_python(facts: Facts) -> Iterator[Verdict]:
    """Python 3.12 has no pkgutil.ImpImporter any more, which pkg_resources took until setuptools 66.1."""
    setuptools, python = facts.python.packages.get("setuptools"), facts.python
    if setuptools and numbers(python.version) >= (3, 12) and numbers(setuptools) < (66, 1):
        yield Verdict(
            "error",
            f"pkg_resources of setuptools {setuptools} fails under Python {python.version} with "
            "`module 'pkgutil' has no attribute 'ImpImporter'`.",
            (f"Python {python.version}: {python.executable}", f"setuptools {setuptools}"),
            (fixes.pip_install(_setuptools(facts)),),
        )


@check("setuptools-old-torch", "setuptools that torch cannot build extensions with")
def setuptools_old_torch(facts: Facts) -> Iterator[Verdict]:
    setuptools = facts.python.packages.get("setuptools")
    row = compatibility.torch_release(facts.torch.version) if facts.torch else None
    if not setuptools or row is None or row.setuptools is None:
        return
    from packaging.specifiers import SpecifierSet  # not worth its import where nothing is pinned
    from packaging.version import InvalidVersion, Version

    try:
        fits = SpecifierSet(row.setuptools).contains(Version(setuptools), prereleases=True)
    except InvalidVersion:
        return
    if not fits:
        imports_it = numbers(row.release) < (2, 2)  # later ones only declare what they want
        yield Verdict(
            "error" if imports_it else "warning",
            f"torch.utils.cpp_extension of torch {row.release} fails with setuptools {setuptools}."
            if imports_it
            else f"torch {row.release} does not want to be used with setuptools {setuptools}.",
            (describe_torch(facts), f"setuptools {setuptools}", f"works with setuptools{row.setuptools}"),
            (fixes.pip_install(_setuptools(facts)),),
        )


def _wish(facts: Facts) -> Wish | None:
    """Which torch is asked for; None for none, and for a text that the command line refuses."""
    try:
        return None if facts.wanted_torch is None else parse_wish(facts.wanted_torch)
    except ValueError:
        return None


@check("torch-never-existed", "No such torch")
def torch_never_existed(facts: Facts) -> Iterator[Verdict]:
    wish = _wish(facts)
    problem = wish.unknown() if wish else None
    if problem:
        yield Verdict(
            "error",
            problem[0].upper() + problem[1:],
            (f"asked for: {wish}",),
            tuple(filter(None, [resolve(facts).fix])),
        )


@check("torch-not-for-this-machine", "The wanted torch has no wheel for this machine")
def torch_not_for_this_machine(facts: Facts) -> Iterator[Verdict]:
    wanted, wish = facts.wanted_torch, _wish(facts)
    if wanted is None or wish is None or wish.unknown():
        return
    resolution = resolve(facts, wanted)
    if resolution.line is None and resolution.rejected:
        yield Verdict(
            "error",
            f"No wheel of {wish} works here.",
            tuple(resolution.reasons()),
            _other_python(facts, wanted, resolution.rejected[0][0]),
        )


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
