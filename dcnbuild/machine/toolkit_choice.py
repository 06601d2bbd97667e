"""Chooses the CUDA toolkit of a build."""

from __future__ import annotations

from dcnbuild.base.versions import same_major, same_minor
from dcnbuild.machine.facts import Facts, Toolkit
from dcnbuild.machine.gpus import compiles_for

#: Without these nothing compiles; without the others only what includes them fails.
VITAL = ("cuda_runtime.h", "crt/host_config.h", "cicc", "ptxas")


def fitting_toolkits(facts: Facts) -> list[Toolkit]:
    """Returns the toolkits of torch's CUDA major version, best first."""
    cuda = facts.torch.cuda if facts.torch else None
    return [toolkit for toolkit in facts.toolkits if cuda and same_major(toolkit.version, cuda)]


def build_toolkit(facts: Facts) -> Toolkit | None:
    """Returns the toolkit for dcnbuild's own build: the first that fits torch, else the first."""
    return next(iter([*fitting_toolkits(facts), *facts.toolkits]), None)


def fits(facts: Facts, toolkit: Toolkit, cuda: str | None) -> bool:
    """Whether extensions for a torch of this CUDA version can be compiled with a toolkit, for these GPUs."""
    if cuda is None or not same_major(toolkit.version, cuda):
        return False
    if facts.wants_cuda is not None:  # a build takes the first of the right major
        return True
    if set(toolkit.missing) & set(VITAL):
        return False
    if toolkit.headers_version and not same_minor(toolkit.headers_version, toolkit.version):
        return False
    return all(compiles_for(toolkit.version, gpu, cuda) for gpu in facts.driver.gpus)


def torch_toolkit(facts: Facts) -> Toolkit | None:
    """The toolkit whose nvcc `torch.utils.cpp_extension` would call."""
    home = facts.cuda_home
    return next((item for item in facts.toolkits if home and home.taken_from in item.found_by), None)


def first_on_path(facts: Facts) -> Toolkit | None:
    """The toolkit whose nvcc a shell would call."""
    labels = [f"PATH: {entry.text.rstrip('/')}/nvcc" for entry in facts.paths if entry.variable == "PATH"]
    return next((toolkit for label in labels for toolkit in facts.toolkits if label in toolkit.found_by), None)
