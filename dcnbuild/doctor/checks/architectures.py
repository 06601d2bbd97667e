"""GPU architectures: of the GPUs, of torch, of the toolkit, and of TORCH_CUDA_ARCH_LIST."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict
from dcnbuild.doctor.checks.evidence import builds_cuda, compiling_toolkit
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.torch_and_toolkit import toolkit_fix, torch_cuda, torch_fix
from dcnbuild.machine import compatibility
from dcnbuild.machine.architectures import capability, parse_arch_list, to_arch_list
from dcnbuild.machine.facts import Facts
from dcnbuild.machine.gpus import compiles_for, has_gpu, unserved, unserved_gpu
from dcnbuild.machine.toolkit_choice import build_toolkit

_VARIABLE = "TORCH_CUDA_ARCH_LIST"


def _listed(facts: Facts) -> str | None:
    """TORCH_CUDA_ARCH_LIST; None if it is not set or leaves the choice to torch."""
    text = facts.variables.get(_VARIABLE, "").strip()
    return None if text in ("", "native") else text


def gpu_not_in_torch(facts: Facts) -> Iterator[Verdict]:
    torch, gpu = facts.torch, unserved_gpu(facts)
    if torch is not None and gpu is not None:  # one pip line has to serve all GPUs
        yield Verdict(*torch_fix(facts), gpu=gpu, names=" ".join(torch.architectures))


def gpu_not_in_toolkit(facts: Facts) -> Iterator[Verdict]:
    toolkit = compiling_toolkit(facts)
    row = compatibility.cuda_release(toolkit.version) if toolkit else None
    if toolkit is None or row is None:
        return
    for gpu in facts.driver.gpus:
        if not compiles_for(toolkit.version, gpu, torch_cuda(facts) or toolkit.version):
            ends = {"oldest": row.architectures[0], "newest": row.architectures[-1]}
            named = {name: f"{number // 10}.{number % 10}" for name, number in ends.items()}
            yield Verdict(*torch_fix(facts), *toolkit_fix(facts), toolkit=toolkit, gpu=gpu, **named)
            return


def arch_list_unknown(facts: Facts) -> Iterator[Verdict]:
    text, toolkit = _listed(facts), build_toolkit(facts)
    if text is None or facts.wants_cuda is False:
        return
    try:
        names = parse_arch_list(text)
    except ValueError as error:
        yield Verdict(*_better_list(facts), wrong=error, text=text)
        return
    unknown = [name for name in names if toolkit and compatibility.compiles_for(toolkit.version, name) is False]
    if unknown:
        yield Verdict(*_better_list(facts), wrong="", text=text, toolkit=toolkit, unknown=unknown)


def arch_list_unknown_to_torch(facts: Facts) -> Iterator[Verdict]:
    """torch.utils.cpp_extension splits the list only at semicolons and spaces."""
    torch, text = facts.torch, _listed(facts)
    if torch is None or text is None or not torch.listable:
        return
    entries = [entry for entry in re.split(r"[; ]", text) if entry]
    unknown = [entry for entry in entries if entry.removesuffix("+PTX") not in torch.listable]
    if unknown:
        yield Verdict(*_better_list(facts), text=text, unknown=unknown[0], names=" ".join(torch.listable))


def _better_list(facts: Facts) -> tuple[Fix, ...]:
    """Asks for what was meant; else for what torch, toolkit and GPUs have in common, or for nothing."""
    toolkit = build_toolkit(facts)
    meant = _meant(_listed(facts) or "")
    for gpu in facts.driver.gpus if meant else ():
        if gpu.capability and unserved(meant, (gpu,)):
            meant = (*meant, "sm_{}{}".format(*gpu.capability))
    if meant and not (toolkit and any(compatibility.compiles_for(toolkit.version, item) is False for item in meant)):
        listable = facts.torch.listable if facts.torch else ()
        if not listable or all("{}.{}".format(*capability(name)) in listable for name in meant):
            return (fixes.set_env(_VARIABLE, to_arch_list(meant)),)
    torch_names = facts.torch.architectures if facts.torch else ()
    names = compatibility.common_architectures(torch_names, toolkit.version) if toolkit else []
    return (fixes.set_env(_VARIABLE, to_arch_list(names)) if names else fixes.unset_env(_VARIABLE),)


def _meant(text: str) -> tuple[str, ...]:
    """The architectures of a list in other spellings: "86", "sm_86", "compute_86", "8.6,9.0"; () if one is none."""
    spelled = re.compile(r"(?i)^(?:sm_?|compute_?)?(\d{1,2})\.?(\d)(?=[af]?(?:\+ptx)?$)")
    try:
        return parse_arch_list(";".join(spelled.sub(r"\1.\2", one) for one in re.split(r"[;,\s]+", text.strip())))
    except ValueError:
        return ()


def arch_list_misses_gpu(facts: Facts) -> Iterator[Verdict]:
    text = _listed(facts)
    try:
        names = parse_arch_list(text) if text else ()
    except ValueError:  # arch-list-unknown says so
        return
    if gpu := unserved(names, facts.driver.gpus) if names else None:
        yield Verdict(fixes.set_env(_VARIABLE, f"{text};{gpu.number}"), text=text, gpu=gpu)


def arch_list_empty(facts: Facts) -> Iterator[Verdict]:
    """torch.utils.cpp_extension then stops with an IndexError (pytorch/pytorch#137261, seen up to 2.14.1)."""
    if _listed(facts) or has_gpu(facts) or facts.machine.system == "Darwin":
        return
    if facts.toolkits and builds_cuda(facts):
        yield Verdict(*_better_list(facts))
