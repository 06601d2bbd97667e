"""CUDA_HOME: what is set, what torch would guess, and several toolkits that shadow each other."""

from __future__ import annotations

from collections.abc import Iterator

from dcnbuild.base.versions import same_minor
from dcnbuild.doctor import fixes
from dcnbuild.doctor.checks import Verdict, check
from dcnbuild.doctor.checks.evidence import builds_cuda, describe_toolkit, describe_torch
from dcnbuild.doctor.torch_and_toolkit import chosen_toolkit, first_on_path, toolkit_fix, torch_toolkit
from dcnbuild.machine.facts import CudaHome, Facts
from dcnbuild.machine.toolkit_choice import build_toolkit, fitting_toolkits


def _was_set(home: CudaHome) -> bool:
    return home.taken_from in ("CUDA_HOME", "CUDA_PATH")


@check("cuda-home-wrong", "CUDA_HOME is no CUDA toolkit")
def cuda_home_wrong(facts: Facts) -> Iterator[Verdict]:
    home = facts.cuda_home
    if home is None or not _was_set(home) or home.has_nvcc:
        return
    text = str(home.path)
    if ":" in text:
        cause = f"{home.taken_from} lists several paths or has a stray colon; it must be one."
    elif not home.exists:
        cause = f"{home.taken_from} names a directory that does not exist."
    else:
        cause = f"{home.taken_from} names a directory without bin/nvcc."
    evidence = [f"{home.taken_from}={text}", f"not there: {text}/bin/nvcc"]
    evidence += [describe_toolkit(toolkit) for toolkit in facts.toolkits[:1]]
    fix = toolkit_fix(facts) if facts.toolkits else ()
    if home.meant and not fix:
        fix = (fixes.set_env(home.taken_from, home.meant),)
    yield Verdict("error", cause, tuple(evidence), fix or (fixes.unset_env(home.taken_from),))


@check("cuda-home-unset", "torch finds no CUDA_HOME")
def cuda_home_unset(facts: Facts) -> Iterator[Verdict]:
    """There is a toolkit, but not where torch looks for one."""
    home, toolkit = facts.cuda_home, build_toolkit(facts)
    if toolkit is None or not builds_cuda(facts) or chosen_toolkit(facts) is None:
        return
    if home is not None and (home.has_nvcc or _was_set(home)):
        return
    tried = f"{home.path} has no nvcc" if home else "no nvcc on PATH, no /usr/local/cuda"
    yield Verdict(
        "warning",
        "CUDA_HOME is not set, and torch.utils.cpp_extension does not find the toolkit by itself.",
        (tried, describe_toolkit(toolkit)),
        toolkit_fix(facts),
    )


@check("cuda-home-guess", "torch would guess a wrong CUDA_HOME")
def cuda_home_guess(facts: Facts) -> Iterator[Verdict]:
    home = facts.cuda_home
    if home is None or _was_set(home) or home.has_headers or not builds_cuda(facts):
        return
    toolkit = torch_toolkit(facts)
    if toolkit is None:
        return
    yield Verdict(
        "warning",
        f"The nvcc on PATH only leads to the real one, so torch.utils.cpp_extension takes "
        f"CUDA_HOME={home.path}, where there are no CUDA headers.",
        (
            f"{home.taken_from} leads to {toolkit.nvcc}",
            f"torch's guess: CUDA_HOME={home.path}",
            f"not there: {home.path}/include/cuda_runtime.h",
        ),
        toolkit_fix(facts),
    )


@check("cuda-home-disagrees", "CUDA_HOME and the nvcc on PATH are different toolkits")
def cuda_home_disagrees(facts: Facts) -> Iterator[Verdict]:
    home, used = facts.cuda_home, torch_toolkit(facts)
    on_path = first_on_path(facts)
    if home is None or not _was_set(home) or used is None or on_path is None:
        return
    if same_minor(used.version, on_path.version) or chosen_toolkit(facts) is None:
        return  # without one that fits, cuda-mismatch says what to install
    yield Verdict(
        "warning",
        f"torch compiles with CUDA {used.version} from {home.taken_from}, while `nvcc -V` shows "
        f"CUDA {on_path.version}.",
        (f"{home.taken_from}={home.path}", describe_toolkit(used), describe_toolkit(on_path)),
        toolkit_fix(facts),
    )


@check("toolkits-shadowed", "A wrong CUDA toolkit comes first on PATH")
def toolkits_shadowed(facts: Facts) -> Iterator[Verdict]:
    """Only where a toolkit that fits torch is shadowed by one that does not."""
    home, used = facts.cuda_home, torch_toolkit(facts)
    fitting = fitting_toolkits(facts)
    if home is None or _was_set(home) or used is None or not fitting or used in fitting:
        return
    yield Verdict(
        "error" if facts.wants_cuda is None else "warning",
        f"The first nvcc is CUDA {used.version}, and torch refuses to build with it; "
        f"CUDA {fitting[0].version}, which fits, is also there.",
        (describe_torch(facts), describe_toolkit(used), describe_toolkit(fitting[0])),
        toolkit_fix(facts),
    )
