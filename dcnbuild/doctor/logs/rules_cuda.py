"""The CUDA toolkit: where it is, and whether it is the one that torch was built with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from dcnbuild.doctor import fixes
from dcnbuild.doctor.fix import Fix
from dcnbuild.doctor.logs import known
from dcnbuild.doctor.logs.advice import ASK_TORCH
from dcnbuild.doctor.logs.rule import Hit


def _mismatch_versions(hit: Hit) -> tuple[str, str]:
    """(CUDA of the toolkit, CUDA of torch), "" where the log is cut off before it."""
    text = " ".join(hit.log.near(hit.line, after=4))
    torch = re.search(r"PyTorch\s?\((\d+\.\d+)\)", text)
    return hit["cuda"], torch.group(1) if torch else hit["torch_cuda"]


def _mismatch_cause(hit: Hit) -> str:
    toolkit, torch = _mismatch_versions(hit)
    against = f"torch was built for CUDA {torch}" if torch else "torch was built for another CUDA"
    return f"The nvcc in use is {('CUDA ' + toolkit) if toolkit else 'of one CUDA'}, but {against}."


def _mismatch_fix(hit: Hit) -> Iterator[Fix]:
    toolkit, torch = _mismatch_versions(hit)
    if torch:
        yield fixes.install_toolkit(torch)
        yield fixes.say("or, where that toolkit is installed already:")
        yield fixes.use_toolkit(torch)
    else:
        yield ASK_TORCH
        yield fixes.use_toolkit()
    release = known.torch_for_cuda(toolkit) if toolkit else None
    if release:
        yield fixes.say(f"or the torch for CUDA {toolkit}:")
        yield fixes.install_torch(release, toolkit)
    if "DeepSpeed" in hit.text:
        yield fixes.say("DeepSpeed goes on in spite of it with:")
        yield fixes.set_env("DS_SKIP_CUDA_CHECK", "1")


def _home(hit: Hit) -> str | None:
    """The CUDA_HOME that was meant by a broken one, as far as it can be told."""
    path = _nvcc(hit).replace("\\\\", "\\")
    home = re.sub(r"[/\\]bin[/\\]nvcc(?:\.exe)?$", "", path)
    parts = [part.strip("\"' =") for part in re.split(r":(?![\\/]{1,2}\w+ Files)|;", home)]
    if hit.context.windows:
        parts = [home.strip("\"' ")]
    for part in parts:
        part = re.sub(r"[/\\](?:bin[/\\]nvcc|bin|lib64|include|nvcc)[/\\]?$", "", part)
        if re.match(r"/\w|[A-Za-z]:", part):
            return part
    return None


def _nvcc(hit: Hit) -> str:
    """nvcc as it was called."""
    name = hit["name"] or "nvcc"
    return hit["path"] + name if hit["path"].endswith(("/", "\\")) else name


_BROKEN = re.compile(r"^[:;]|.:/|[\"'=]|bin[/\\]nvcc[/\\]bin|bin[/\\]bin|lib64[/\\]bin")


def _nvcc_cause(hit: Hit) -> str:
    nvcc, home = _nvcc(hit), _home(hit)
    if "/" not in nvcc and "\\" not in nvcc:
        return (
            "nvcc is not on PATH: no CUDA toolkit is installed (torch's wheels bring none), or its bin "
            "directory is not there."
        )
    if nvcc[:1] in ":;" or re.search(r"(?<=.):/", nvcc):
        return f'CUDA_HOME is a list of paths, or begins or ends with ":", so that "{nvcc}" is run.'
    if re.search(r"[\"'=]", nvcc):
        return f"CUDA_HOME has quotes or an equals sign in its value, so that {nvcc} is run."
    if re.search(r"bin[/\\]nvcc[/\\]bin|bin[/\\]bin|lib64[/\\]bin", nvcc):
        return f"CUDA_HOME names {home or 'something'}'s inside and not the toolkit: {nvcc} is run."
    return f"There is no {nvcc}: CUDA_HOME points where no CUDA toolkit is."


def find_toolkit(hit: Hit, version: str | None = None) -> Iterator[Fix]:
    """Looks for an installed toolkit and makes it the one in use; installs one where there is none."""
    if hit.context.windows:
        yield fixes.command("where", "nvcc")
    elif not hit.context.mac:
        yield fixes.command("sh", "-c", "ls -d /usr/local/cuda*")
    yield fixes.use_toolkit(version)
    if hit.context.container:
        yield fixes.say(
            "an image whose name ends in -runtime or -base has no nvcc: build in the -devel one"
        )
    yield fixes.say("where no toolkit is installed, for the CUDA that torch names:")
    yield ASK_TORCH
    if not hit.context.windows:
        yield fixes.dcnbuild("toolkit", "install", version or "13.0")


def _nvcc_fix(hit: Hit) -> Iterator[Fix]:
    nvcc, home = _nvcc(hit), _home(hit)
    if home and _BROKEN.search(nvcc) and not hit.context.windows:
        yield fixes.use_toolkit(root=home)
        return
    yield from find_toolkit(hit, hit.get("toolkit") if hit.context.windows else None)


def _cuda_home_unset_fix(hit: Hit) -> Iterable[Fix]:
    return (
        *find_toolkit(hit),
        *(
            (
                fixes.say("where no GPU is visible while it builds:"),
                fixes.set_env("FORCE_CUDA", "1"),
            )
            if "vaila" in hit.match.group()
            else ()
        ),
    )
