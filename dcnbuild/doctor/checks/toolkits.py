"""CUDA toolkits: CUDA_HOME and what torch guesses, which of several is used, does it suit torch, is it complete."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.base.versions import same_major, same_minor
from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict
from dcnbuild.doctor.checks.evidence import builds_cuda, compiling_toolkit, smi_note
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.torch_and_toolkit import chosen_toolkit, toolkit_fix
from dcnbuild.machine.compatibility import numbers
from dcnbuild.machine.facts import CudaHome, Facts, Toolkit
from dcnbuild.machine.gpus import compiles_for, has_gpu
from dcnbuild.machine.toolkit_choice import VITAL, build_toolkit, first_on_path, fitting_toolkits, torch_toolkit

#: header → the library whose development package brings it.
_LIBRARY_OF = {"cublas_v2.h": "cublas", "cusparse.h": "cusparse", "cusolverDn.h": "cusolver"}


def _was_set(home: CudaHome) -> bool:
    return home.taken_from in ("CUDA_HOME", "CUDA_PATH")


def cuda_home_wrong(facts: Facts) -> Iterator[Verdict]:
    home = facts.cuda_home
    if home is None or not _was_set(home) or home.has_nvcc:
        return
    fix = toolkit_fix(facts) if facts.toolkits else ()
    if home.meant and not fix:
        fix = (fixes.set_env(home.taken_from, home.meant),)
    yield Verdict(*(fix or (fixes.unset_env(home.taken_from),)), first=facts.toolkits[:1])


def cuda_home_unset(facts: Facts) -> Iterator[Verdict]:
    """There is a toolkit, but not where torch looks for one."""
    home, toolkit = facts.cuda_home, compiling_toolkit(facts)
    found = home is not None and (home.has_nvcc or _was_set(home))
    if toolkit is not None and not found and chosen_toolkit(facts) is not None:
        yield Verdict(*toolkit_fix(facts), toolkit=toolkit)


def cuda_home_guess(facts: Facts) -> Iterator[Verdict]:
    home, toolkit = facts.cuda_home, torch_toolkit(facts)
    if home and toolkit and not (_was_set(home) or home.has_headers) and builds_cuda(facts):
        yield Verdict(*toolkit_fix(facts), toolkit=toolkit)


def cuda_home_disagrees(facts: Facts) -> Iterator[Verdict]:
    home, used, on_path = facts.cuda_home, torch_toolkit(facts), first_on_path(facts)
    differ = home and _was_set(home) and used and on_path and not same_minor(used.version, on_path.version)
    if differ and chosen_toolkit(facts) is not None:  # without one that fits, cuda-mismatch says what to install
        yield Verdict(*toolkit_fix(facts), used=used, on_path=on_path)


def toolkits_shadowed(facts: Facts) -> Iterator[Verdict]:
    """A toolkit that fits torch is installed, but one that does not fit comes first."""
    home, used, fitting = facts.cuda_home, torch_toolkit(facts), fitting_toolkits(facts)
    if home and not _was_set(home) and used and fitting and used not in fitting:
        yield Verdict(*toolkit_fix(facts), used=used, fitting=fitting[0], building=facts.wants_cuda is not None)


def toolkit_missing(facts: Facts) -> Iterator[Verdict]:
    if not facts.toolkits and builds_cuda(facts) and (facts.wants_cuda or has_gpu(facts)):
        yield Verdict(*toolkit_fix(facts), smi=smi_note(facts, None))


def cuda_mismatch(facts: Facts) -> Iterator[Verdict]:
    if facts.toolkits and builds_cuda(facts) and not fitting_toolkits(facts):
        toolkit = facts.toolkits[0]
        yield Verdict(*toolkit_fix(facts), toolkit=toolkit, smi=smi_note(facts, toolkit))


def cuda_minor_mismatch(facts: Facts) -> Iterator[Verdict]:
    """This is harmless, but torch warns about it, and people take it for the cause of other failures."""
    torch, toolkit = facts.torch, build_toolkit(facts)
    if torch is None or torch.cuda is None or toolkit is None:
        return
    serves = all(compiles_for(toolkit.version, gpu, torch.cuda) for gpu in facts.driver.gpus)
    if serves and same_major(toolkit.version, torch.cuda) and not same_minor(toolkit.version, torch.cuda):
        yield Verdict(toolkit=toolkit)


def toolkit_incomplete(facts: Facts) -> Iterator[Verdict]:
    toolkit = (torch_toolkit(facts) if facts.wants_cuda is None else None) or build_toolkit(facts)
    if toolkit is None or toolkit not in fitting_toolkits(facts) or not builds_cuda(facts):
        return  # what another check rejects is not mended
    filled_in = {name for entry in facts.paths for name in entry.headers}
    missing = tuple(name for name in toolkit.missing if name not in filled_in)
    vital = [name for name in missing if name in VITAL]
    if not missing or (facts.wants_cuda is not None and not vital):
        return  # dcnbuild's own sources include none of the others
    lent = [(item, ", ".join(name for name in item.headers if name in missing)) for item in facts.package_headers]
    lenders = [f"in {item.directory} (CUDA {item.version}): {names}" for item, names in lent if names]
    fix = toolkit_fix(facts) if chosen_toolkit(facts) != toolkit else _complete(facts, toolkit, missing)
    yield Verdict(*fix, toolkit=toolkit, vital=vital, missing=", ".join(missing), lenders=lenders)


def _complete(facts: Facts, toolkit: Toolkit, missing: tuple[str, ...]) -> tuple[Fix, ...]:
    """What brings the headers of libraries to a toolkit, all of its own version."""
    same = [item for item in facts.package_headers if item.version and same_minor(item.version, toolkit.version)]
    lent = {name: item.directory for item in same for name in item.headers}
    if set(missing) <= set(lent):
        return (fixes.prepend("CPATH", *sorted({lent[name] for name in missing})),)
    whole = next((item for item in fitting_toolkits(facts) if not set(item.missing) & set(missing)), None)
    if whole is not None:
        return (fixes.set_env("CUDA_HOME", whole.root),)
    libraries = sorted({_LIBRARY_OF[name] for name in missing if name in _LIBRARY_OF})
    suffix = toolkit.version.replace(".", "-")
    if str(toolkit.root).startswith("/usr/local/") and facts.machine.package_manager == "apt-get":
        names = [f"lib{library}-dev-{suffix}" for library in libraries]
        install = fixes.command("apt-get", "install", operands=names, root=True)
        return fixes.say("Install from the package repository of NVIDIA:"), install
    if numbers(toolkit.version) >= (13,):
        version = f"=={toolkit.version}.*"
        wanted = ",".join(("nvcc", "cccl", *libraries))
        if toolkit.root.parent.name == "nvidia":  # made of pip's packages, which bring the others
            return (fixes.pip_install(f"cuda-toolkit[{wanted}]{version}"),)
        if any(label.startswith("cache: ") for label in toolkit.found_by):
            install = fixes.dcnbuild("toolkit", "install", "--math-headers", toolkit.version)
            return fixes.remove(toolkit.root, recursive=True), install
    return (fixes.install_toolkit(toolkit.version),)


def cuda_headers_mixed(facts: Facts) -> Iterator[Verdict]:
    toolkit = compiling_toolkit(facts)
    if toolkit and toolkit.headers_version and not same_minor(toolkit.headers_version, toolkit.version):
        yield Verdict(*toolkit_fix(facts), toolkit=toolkit, include=toolkit.include[0])
