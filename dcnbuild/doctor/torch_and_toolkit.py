"""The torch and the toolkit that all fixes of one report lead to.

Every check asks here what to install and what to use, so that two findings never lead to two places: pasting the
fixes from top to bottom leaves one torch, and one toolkit that fits it.
"""

from __future__ import annotations

from dcnbuild.base.versions import same_minor
from dcnbuild.doctor import fixes
from dcnbuild.doctor.fixes.fix import Fix, Target
from dcnbuild.doctor.resolver import Resolution, jetson_torch, resolve
from dcnbuild.machine.facts import Facts, Toolkit
from dcnbuild.machine.gpus import driver_refuses, has_gpu, unserved_gpu
from dcnbuild.machine.recipes import DEBIAN
from dcnbuild.machine.toolkit_choice import first_on_path, fits, torch_toolkit


def new_torch(facts: Facts) -> Resolution | None:
    """The torch to install instead of the present one; None where that one stays.

    A build takes the one that is there, unless that has no CUDA.
    """
    torch = facts.torch
    if torch is None:
        return resolve(facts)
    if not torch.cuda and has_gpu(facts):  # for the CPU or for ROCm: the same release, if it serves
        same = resolve(facts, torch.version.partition("+")[0])
        return same if same.fix else resolve(facts)
    suits = facts.wants_cuda is not None or not (driver_refuses(facts) or unserved_gpu(facts))
    return None if suits else resolve(facts)


def torch_fix(facts: Facts) -> tuple[Fix, ...]:
    """What installs that torch, if one is known, and puts a fitting toolkit in use where any is in use at all."""
    resolution = new_torch(facts)
    if resolution is not None and facts.machine.jetson is not None:
        return (jetson_torch(facts.machine.jetson),)
    if resolution is None or resolution.fix is None:
        return ()
    toolkit = chosen_toolkit(facts)
    stays = not facts.toolkits or (toolkit is not None and toolkit == torch_toolkit(facts))
    return (resolution.fix, *(() if stays else toolkit_fix(facts)))


def torch_cuda(facts: Facts) -> str | None:
    """The CUDA version of the torch that there will be."""
    resolution = new_torch(facts)
    source = (resolution.wheel if resolution else None) or facts.torch
    return source.cuda if source else None


def chosen_toolkit(facts: Facts) -> Toolkit | None:
    """The toolkit to build with; None where one has to be installed."""
    cuda, home = torch_cuda(facts), facts.cuda_home
    fitting = [item for item in facts.toolkits if fits(facts, item, cuda)]
    meant = [item for item in fitting if home and item.root == home.meant]
    return next(iter([*meant, *fitting]), None)


def toolkit_fix(facts: Facts) -> tuple[Fix, ...]:
    """What makes the toolkit that fits the one in use; installs it where there is none."""
    toolkit, cuda = chosen_toolkit(facts), torch_cuda(facts)
    if toolkit is not None:
        on_path = first_on_path(facts)
        other = on_path is not None and not same_minor(on_path.version, toolkit.version)
        fix = (fixes.prepend("PATH", toolkit.root / "bin"),) if other else ()
        if fix and facts.variables.get("CUDA_HOME") == str(toolkit.root):
            return fix
        return (fixes.set_env("CUDA_HOME", toolkit.root), *fix)
    if cuda and facts.machine.jetson is not None:
        return (fixes.command("apt-get", "install", "nvidia-jetpack", root=True),)
    return (fixes.install_toolkit(cuda),) if cuda else ()


def nvcc_version(facts: Facts) -> str | None:
    """The version of the nvcc that there will be; None without one, or where it brings its own gcc."""
    toolkit, cuda = chosen_toolkit(facts), torch_cuda(facts)
    installs = facts.toolkits or facts.wants_cuda or has_gpu(facts)
    if toolkit is not None or cuda is None or not installs:
        return toolkit.version if toolkit else None
    source, version = fixes.toolkit_source(Target.of(facts), cuda)
    own_gcc = source == "dcnbuild" and version in DEBIAN and DEBIAN[version].host is not None
    return None if own_gcc else version
