"""CUDA toolkits against torch: is there one, of which version, and is it complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dcnbuild.base.versions import same_major, same_minor
from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
from dcnbuild.doctor.checks.evidence import builds_cuda, describe_toolkit, describe_torch, smi_note
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.resolver import has_gpu
from dcnbuild.doctor.torch_and_toolkit import VITAL, chosen_toolkit, compiles_for, toolkit_fix, torch_toolkit
from dcnbuild.machine.compatibility import numbers
from dcnbuild.machine.facts import Facts, Toolkit
from dcnbuild.machine.toolkit_choice import build_toolkit, fitting_toolkits

#: header → the library whose development package brings it.
_LIBRARY_OF = {"cublas_v2.h": "cublas", "cusparse.h": "cusparse", "cusolverDn.h": "cusolver"}


@check("toolkit-missing", "No CUDA toolkit", builds=True)
def toolkit_missing(facts: Facts) -> Iterator[Verdict]:
    if facts.toolkits or not builds_cuda(facts) or not (facts.wants_cuda or has_gpu(facts)):
        return
    torch = facts.torch
    assert torch is not None and torch.cuda is not None  # builds_cuda
    yield Verdict(
        "error" if facts.wants_cuda else "warning",
        "No nvcc was found, so no CUDA code can be compiled for this torch.",
        (
            describe_torch(facts),
            "looked at CUDA_HOME, CUDA_PATH, PATH, the environment's packages, CONDA_PREFIX, "
            "/usr/local/cuda*, /opt/cuda, /usr/lib/nvidia-cuda-toolkit",
            *smi_note(facts, None),
            "dcnbuild's own kernels need none with torch 2.10 or newer (`dcnbuild info`); other CUDA extensions do",
            *(
                ["this is a container: images tagged -base and -runtime have no nvcc, those tagged -devel have"]
                if facts.machine.container
                else []
            ),
        ),
        toolkit_fix(facts),
    )


@check("cuda-mismatch", "The CUDA toolkit is another major version than torch's", builds=True)
def cuda_mismatch(facts: Facts) -> Iterator[Verdict]:
    if not facts.toolkits or not builds_cuda(facts) or fitting_toolkits(facts):
        return
    torch = facts.torch
    assert torch is not None and torch.cuda is not None  # builds_cuda
    toolkit = facts.toolkits[0]
    yield Verdict(
        "error",
        f"torch was built with CUDA {torch.cuda} and refuses extensions compiled with CUDA {toolkit.version}.",
        (describe_torch(facts), *map(describe_toolkit, facts.toolkits), *smi_note(facts, toolkit)),
        toolkit_fix(facts),
    )


@check("cuda-minor-mismatch", "The CUDA toolkit is another minor version than torch's")
def cuda_minor_mismatch(facts: Facts) -> Iterator[Verdict]:
    """Harmless, but torch warns of it and people take it for the cause of what fails."""
    torch, toolkit = facts.torch, build_toolkit(facts)
    if torch is None or torch.cuda is None or toolkit is None:
        return
    serves = all(compiles_for(toolkit.version, gpu, torch.cuda) for gpu in facts.driver.gpus)
    if serves and same_major(toolkit.version, torch.cuda) and not same_minor(toolkit.version, torch.cuda):
        yield Verdict(
            "note",
            f"Extensions compiled with CUDA {toolkit.version} work with torch's CUDA {torch.cuda}: "
            "only another major version does harm.",
            (describe_torch(facts), describe_toolkit(toolkit)),
        )


@check("toolkit-incomplete", "The CUDA toolkit lacks files", builds=True)
def toolkit_incomplete(facts: Facts) -> Iterator[Verdict]:
    toolkit = torch_toolkit(facts) if facts.wants_cuda is None else None
    toolkit = toolkit or build_toolkit(facts)
    if toolkit is None or toolkit not in fitting_toolkits(facts) or not builds_cuda(facts):
        return  # what another check rejects is not mended
    filled_in = {name for entry in facts.paths for name in entry.headers}
    missing = tuple(name for name in toolkit.missing if name not in filled_in)
    vital = [name for name in missing if name in VITAL]
    if not missing or (facts.wants_cuda is not None and not vital):
        return  # dcnbuild's own sources include none of the others
    lenders = [(item, [name for name in item.headers if name in missing]) for item in facts.package_headers]
    yield Verdict(
        "error" if vital else "warning",
        f"CUDA {toolkit.version} in {toolkit.root} lacks {', '.join(vital)}: nothing compiles."
        if vital
        else f"Extensions that include ATen's CUDA headers do not compile with "
        f"CUDA {toolkit.version} in {toolkit.root}.",
        (
            describe_toolkit(toolkit),
            f"missing: {', '.join(missing)}",
            *(f"in {item.directory} (CUDA {item.version}): {', '.join(names)}" for item, names in lenders if names),
        ),
        toolkit_fix(facts) if chosen_toolkit(facts) != toolkit else _complete(facts, toolkit, missing),
    )


def _complete(facts: Facts, toolkit: Toolkit, missing: tuple[str, ...]) -> tuple[Fix, ...]:
    """What brings the headers of libraries to a toolkit, all of its own version."""
    lent: dict[str, Path] = {
        name: item.directory
        for item in facts.package_headers
        if item.version and same_minor(item.version, toolkit.version)
        for name in item.headers
    }
    if set(missing) <= set(lent):
        return (fixes.prepend("CPATH", *sorted({lent[name] for name in missing})),)
    whole = next((item for item in fitting_toolkits(facts) if not set(item.missing) & set(missing)), None)
    if whole is not None:
        return (fixes.set_env("CUDA_HOME", whole.root),)
    libraries = sorted({_LIBRARY_OF[name] for name in missing if name in _LIBRARY_OF})
    suffix = toolkit.version.replace(".", "-")
    if str(toolkit.root).startswith("/usr/local/") and facts.machine.package_manager == "apt-get":
        names = [f"lib{library}-dev-{suffix}" for library in libraries]
        return (
            fixes.say("from the package repository of NVIDIA:"),
            fixes.command("apt-get", "install", operands=names, root=True),
        )
    if numbers(toolkit.version) >= (13,):
        version = f"=={toolkit.version}.*"
        wanted = ",".join(("nvcc", "cccl", *libraries))
        if toolkit.root.parent.name == "nvidia":  # made of pip's packages, which bring the others
            return (fixes.pip_install(f"cuda-toolkit[{wanted}]{version}"),)
        if any(label.startswith("cache: ") for label in toolkit.found_by):
            return (
                fixes.remove(toolkit.root, recursive=True),
                fixes.dcnbuild("toolkit", "install", "--math-headers", toolkit.version),
            )
    return (fixes.install_toolkit(toolkit.version),)


@check("cuda-headers-mixed", "nvcc and the CUDA headers beside it differ", builds=True)
def cuda_headers_mixed(facts: Facts) -> Iterator[Verdict]:
    toolkit = build_toolkit(facts)
    if toolkit is None or not builds_cuda(facts) or toolkit.headers_version is None:
        return
    if not same_minor(toolkit.headers_version, toolkit.version):
        yield Verdict(
            "error",
            f"nvcc {toolkit.version} refuses the headers of CUDA {toolkit.headers_version}.",
            (describe_toolkit(toolkit), f"{toolkit.include[0]}/cuda.h: CUDA {toolkit.headers_version}"),
            toolkit_fix(facts),
        )
