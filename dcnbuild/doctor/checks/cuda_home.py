"""CUDA_HOME: what is set, what torch would guess, and several toolkits that shadow each other."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.base.versions import same_minor
from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
from dcnbuild.doctor.checks.evidence import builds_cuda
from dcnbuild.doctor.torch_and_toolkit import chosen_toolkit, first_on_path, toolkit_fix, torch_toolkit
from dcnbuild.machine.facts import CudaHome, Facts
from dcnbuild.machine.toolkit_choice import build_toolkit, fitting_toolkits


def _was_set(home: CudaHome) -> bool:
    return home.taken_from in ("CUDA_HOME", "CUDA_PATH")


@check("cuda-home-wrong")
def cuda_home_wrong(facts: Facts) -> Iterator[Verdict]:
    home = facts.cuda_home
    if home is None or not _was_set(home) or home.has_nvcc:
        return
    fix = toolkit_fix(facts) if facts.toolkits else ()
    if home.meant and not fix:
        fix = (fixes.set_env(home.taken_from, home.meant),)
    yield Verdict(*(fix or (fixes.unset_env(home.taken_from),)), first=facts.toolkits[:1])


@check("cuda-home-unset")
def cuda_home_unset(facts: Facts) -> Iterator[Verdict]:
    """There is a toolkit, but not where torch looks for one."""
    home, toolkit = facts.cuda_home, build_toolkit(facts)
    if toolkit is None or not builds_cuda(facts) or chosen_toolkit(facts) is None:
        return
    if home is None or not (home.has_nvcc or _was_set(home)):
        yield Verdict(*toolkit_fix(facts), toolkit=toolkit)


@check("cuda-home-guess")
def cuda_home_guess(facts: Facts) -> Iterator[Verdict]:
    home, toolkit = facts.cuda_home, torch_toolkit(facts)
    if home is None or _was_set(home) or home.has_headers or not builds_cuda(facts) or toolkit is None:
        return
    yield Verdict(*toolkit_fix(facts), toolkit=toolkit)


@check("cuda-home-disagrees")
def cuda_home_disagrees(facts: Facts) -> Iterator[Verdict]:
    home, used = facts.cuda_home, torch_toolkit(facts)
    on_path = first_on_path(facts)
    if home is None or not _was_set(home) or used is None or on_path is None:
        return
    # without one that fits, cuda-mismatch says what to install
    if not same_minor(used.version, on_path.version) and chosen_toolkit(facts) is not None:
        yield Verdict(*toolkit_fix(facts), used=used, on_path=on_path)


@check("toolkits-shadowed")
def toolkits_shadowed(facts: Facts) -> Iterator[Verdict]:
    """A toolkit that fits torch is installed, but one that does not fit comes first."""
    home, used = facts.cuda_home, torch_toolkit(facts)
    fitting = fitting_toolkits(facts)
    if home is None or _was_set(home) or used is None or not fitting or used in fitting:
        return
    yield Verdict(*toolkit_fix(facts), used=used, fitting=fitting[0], building=facts.wants_cuda is not None)
