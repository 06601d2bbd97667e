"""GPU architectures that nvcc or torch are asked for and do not have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dcnbuild.base.versions import numbers
from dcnbuild.doctor import fixes
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs import known
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.doctor.logs.rules_source import port

_NAMED = re.compile(r"(?:sm|compute|lto)_\d{2,3}[af]?")

_DISTRIBUTION_NVCC = "/usr/bin/nvcc"


def _architecture(hit: Hit) -> int:
    return known.number(hit["name"]) or 0


def _dropped(hit: Hit) -> bool:
    """Whether the architecture is one that newer toolkits have dropped (not one they lack yet)."""
    number, toolkit = _architecture(hit), hit.get("toolkit")
    newest = known.newest_architecture(toolkit) if toolkit else None
    first = known.first_toolkit_for(hit["name"])
    if toolkit and first and numbers(first) > numbers(toolkit):
        return False
    if newest is not None:
        return number < newest
    return known.last_toolkit(number) is not None


def _architecture_cause(hit: Hit) -> str:
    number, toolkit = _architecture(hit), hit.get("toolkit")
    if not _NAMED.fullmatch(hit["name"]):
        return f"There is no architecture {hit['name']}: it is written compute_86, sm_86 or sm_90a."
    nvcc = f"The nvcc in use (CUDA {toolkit})" if toolkit else "The nvcc in use"
    if toolkit is None and hit.get("nvcc_path") == _DISTRIBUTION_NVCC:
        nvcc = f"{_DISTRIBUTION_NVCC}, the distribution's nvcc,"
    if _dropped(hit):
        last = known.last_toolkit(number)
        tail = f": CUDA {last} was the last that does" if last else ""
        return f"{nvcc} no longer compiles for {hit['name']}{tail}."
    first = known.first_toolkit_for(hit["name"])
    tail = f": that takes CUDA {first} or newer" if first else ""
    return f"{nvcc} does not know {hit['name']} yet{tail}."


def _architecture_fix(hit: Hit) -> Iterator[Fix]:
    toolkit = hit.get("toolkit")
    if not _NAMED.fullmatch(hit["name"]):
        yield fixes.command("grep", "-nE", "gencode|arch=", operands=("setup.py",))
        yield fixes.command("printenv", "TORCH_CUDA_ARCH_LIST")
        return
    if _dropped(hit):
        yield fixes.ask_gpus()
        yield fixes.say("where setup.py itself lists architectures:")
        yield port(hit)
        return
    first = known.first_toolkit_for(hit["name"])
    if first is None:
        yield fixes.command("nvcc", "--version")
        return
    yield fixes.install_toolkit(first)
    yield fixes.say("or, where it is installed already:")
    yield fixes.use_toolkit(first)
    newest = known.newest_architecture(toolkit) if toolkit else None
    if newest:
        yield fixes.say("or keep this nvcc and let the driver translate:")
        yield fixes.set_env(_LIST, known.listed(newest) + "+PTX")


def _unknown_cause(hit: Hit) -> str:
    name, torch = hit["name"], hit.get("torch")
    this = f"torch {torch}" if torch else "This torch"
    if not name:
        return "TORCH_CUDA_ARCH_LIST has an empty entry (a separator too many)."
    if "{" in name:
        return f"{this} does not know an architecture that it is asked to compile for."
    if not re.fullmatch(r"\d{1,2}\.\d[af]?(?:\+PTX)?", name):
        return f'TORCH_CUDA_ARCH_LIST has "{name}", which is not written as torch wants it ("8.6").'
    return (
        f"{this} does not know compute capability {name}: the GPU, or the list, is newer than it."
    )


def _unknown_fix(hit: Hit) -> Iterator[Fix]:
    name = hit["name"]
    digits = re.fullmatch(r"(?:sm_|compute_)?(\d{2,3})[af]?", name)
    if digits:
        yield fixes.set_env(_LIST, known.listed(int(digits[1])))
        return
    number = known.number(name)
    if number is None:
        yield fixes.set_env(_LIST, known.arch_list(hit.get("toolkit")))
        return
    wheel = known.torch_with_kernels_for(number)
    # what torch has long known and the driver can translate for the newer GPU
    fallback = "9.0+PTX" if number >= 100 else "8.6+PTX" if number > 86 else "7.5+PTX"
    yield fixes.set_env(_LIST, fallback)
    yield fixes.say(f"or torch {wheel[1]} or newer:" if wheel else "or a newer torch:")
    yield fixes.install_torch(cuda=wheel[0]) if wheel else fixes.install_torch()


def _is_index_error(hit: Hit) -> bool:
    """The same function raises for unknown architectures too."""
    first, *rest = hit.log.near(hit.line, after=6)
    if "arch_list[-1]" in first:
        return True
    below = "\n".join(rest)
    return "list index out of range" in below and "arch_list[-1]" not in below


def _empty_fix(hit: Hit) -> Iterator[Fix]:
    named = re.search(r"\b([A-Z]{2,20}_CUDA_ARCH(?:ITECTURES|S|_LIST)|CUDAARCHS)\b", hit.text)
    yield fixes.say("the GPUs that will run it:")
    if named and named[1] != _LIST:
        plain = known.arch_list(hit.get("toolkit")).removesuffix("+PTX").replace(".", "")
        yield fixes.set_env(named[1], plain.split(";")[-1])
    else:
        yield fixes.set_env(_LIST, known.arch_list(hit.get("toolkit")))


_LIST = "TORCH_CUDA_ARCH_LIST"


def _unknown_cuda_arch_cause(hit: Hit) -> str:
    return (
        f"The list of architectures holds sm_{hit['name']}, which the torch.utils.cpp_extension, or the setup.py, "
        "in use cannot read: without a list of its own it takes torch's."
    )


def _unknown_cuda_arch_fix(hit: Hit) -> Iterable[Fix]:
    return (
        fixes.ask_gpus(),
        fixes.say("without a GPU in sight, by hand:"),
        fixes.set_env(_LIST, known.listed(int(hit["name"][:-1]))),
    )
