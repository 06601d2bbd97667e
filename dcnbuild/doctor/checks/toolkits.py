"""CUDA toolkits against torch: is there one, of which version, and is it complete."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dcnbuild.compatibility import numbers
from dcnbuild.doctor import shell
from dcnbuild.doctor.checks.shared import (
    build_toolkit,
    builds_cuda,
    describe_toolkit,
    describe_torch,
    fitting_toolkits,
    same_major,
    same_minor,
    smi_note,
    torch_toolkit,
)
from dcnbuild.doctor.registry import Verdict, check
from dcnbuild.doctor.resolver import has_gpu
from dcnbuild.environment.facts import Facts, Toolkit

#: Without these nothing compiles; without the others only what includes them fails.
_VITAL = ("cuda_runtime.h", "crt/host_config.h", "cicc", "ptxas")
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
        ),
        shell.install_toolkit(facts, torch.cuda),
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
        f"torch was built with CUDA {torch.cuda} and refuses extensions compiled with "
        f"CUDA {toolkit.version}.",
        (
            describe_torch(facts),
            *map(describe_toolkit, facts.toolkits),
            *smi_note(facts, toolkit),
        ),
        shell.install_toolkit(facts, torch.cuda),
    )


@check("cuda-minor-mismatch", "The CUDA toolkit is another minor version than torch's")
def cuda_minor_mismatch(facts: Facts) -> Iterator[Verdict]:
    """Harmless, but torch warns of it and people take it for the cause of what fails."""
    torch, toolkit = facts.torch, build_toolkit(facts)
    if torch is None or torch.cuda is None or toolkit is None:
        return
    if same_major(toolkit.version, torch.cuda) and not same_minor(toolkit.version, torch.cuda):
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
    if toolkit is None or not builds_cuda(facts):
        return
    filled_in = {name for entry in facts.paths for name in entry.headers}
    missing = tuple(name for name in toolkit.missing if name not in filled_in)
    if not missing:
        return
    toolkit = replace(toolkit, missing=missing)
    vital = [name for name in toolkit.missing if name in _VITAL]
    if facts.wants_cuda is not None and not vital:
        return  # dcnbuild's own sources include none of the others
    yield Verdict(
        "error" if vital else "warning",
        f"CUDA {toolkit.version} in {toolkit.root} lacks {', '.join(vital)}: nothing compiles."
        if vital
        else f"Extensions that include ATen's CUDA headers do not compile with "
        f"CUDA {toolkit.version} in {toolkit.root}.",
        (
            describe_toolkit(toolkit),
            f"missing: {', '.join(toolkit.missing)}",
            *(
                f"in {item.directory} (CUDA {item.version}): "
                f"{', '.join(_lent(toolkit, item.headers))}"
                for item in facts.package_headers
                if _lent(toolkit, item.headers)
            ),
        ),
        _complete(facts, toolkit) or shell.install_toolkit(facts, toolkit.version),
    )


def _lent(toolkit: Toolkit, headers: tuple[str, ...]) -> list[str]:
    return [name for name in headers if name in toolkit.missing]


def _complete(facts: Facts, toolkit: Toolkit) -> tuple[str, ...]:
    """The lines that bring what is missing, if it is only headers of libraries."""
    if not set(toolkit.missing) <= set(_LIBRARY_OF):
        return ()
    lenders = [item for item in facts.package_headers if _lent(toolkit, item.headers)]
    lent = {name for item in lenders for name in _lent(toolkit, item.headers)}
    if lent == set(toolkit.missing):
        if all(item.version and same_minor(item.version, toolkit.version) for item in lenders):
            return (shell.prepend(facts, "CPATH", [item.directory for item in lenders]),)
        # on CPATH they would come before the toolkit's own, and nvcc refuses those of another CUDA
        return tuple(
            f"cp -rsn {item.directory}/. {toolkit.include[0]}/"
            for item in lenders
            if toolkit.include
        )
    libraries = sorted({_LIBRARY_OF[name] for name in toolkit.missing})
    if str(toolkit.root).startswith("/usr/local/") and facts.machine.package_manager == "apt-get":
        suffix = toolkit.version.replace(".", "-")
        names = " ".join(f"lib{library}-dev-{suffix}" for library in libraries)
        line = shell.as_root(facts, f"apt-get install {names}")
        return (f"{line}  # from NVIDIA's package repository",)
    if numbers(toolkit.version) >= (13,):
        names = " ".join(f"nvidia-{library}" for library in libraries)
        return (shell.pip(facts, f"install {names}"),)
    return ()


@check("cuda-headers-mixed", "nvcc and the CUDA headers beside it differ", builds=True)
def cuda_headers_mixed(facts: Facts) -> Iterator[Verdict]:
    toolkit = build_toolkit(facts)
    if toolkit is None or not builds_cuda(facts) or toolkit.headers_version is None:
        return
    if not same_minor(toolkit.headers_version, toolkit.version):
        yield Verdict(
            "error",
            f"nvcc {toolkit.version} refuses the headers of CUDA {toolkit.headers_version}.",
            (
                describe_toolkit(toolkit),
                f"{toolkit.include[0]}/cuda.h: CUDA {toolkit.headers_version}",
            ),
            shell.install_toolkit(facts, toolkit.headers_version)
            if numbers(toolkit.version) >= (13,)
            else (),
        )
