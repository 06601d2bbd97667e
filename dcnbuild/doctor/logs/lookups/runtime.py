"""What fails when the built module runs: the driver, the GPU, and a build for another GPU."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from dcnbuild.doctor import wording
from dcnbuild.doctor.fixes.fix import Fix
from dcnbuild.doctor.logs.lookups import extensions
from dcnbuild.doctor.logs.lookups.traceback import frames
from dcnbuild.doctor.logs.owner import Owner, owner
from dcnbuild.doctor.logs.rule import Hit
from dcnbuild.knowledge import modules
from dcnbuild.machine import versions
from dcnbuild.machine.elsewhere import find_gpu

_NOT_A_USER, _IN_MESSAGE = wording.patterns("not_a_user", "in_message")
_SERVES, _CAPABLE, _NAMED = wording.patterns("for_one_torch", "capable", "gpu_named")
#: What torch says where it compiles for the GPUs that it sees, and for no others.
_FOR_VISIBLE = wording.pattern("for_visible")


def serving(hit: Hit) -> str:
    """The package that runs here and is made for one release of torch, which a verb is not given, "" without one."""
    same = hit["1"] and hit["1"] == hit["torch"].partition("+")[0]
    found = None if same else next(iter(hit.log.found(_SERVES).values()), None)
    return next(filter(None, found.groups()), "vllm") if found else ""


def gpus(hit: Hit) -> str:
    """The compute capabilities of the GPUs that the log shows, "8.6;8.9", else those of the GPUs that it names."""
    told = [".".join(filter(None, found.groups())) for found in hit.log.found(_CAPABLE).values()]
    for found in () if told else hit.log.found(_NAMED).values():
        with suppress(ValueError):
            told.append(find_gpu(found["name"]).number)
    if not told and hit.log.found(_FOR_VISIBLE):
        told = [*map(versions.listed, sorted(set(re.findall(r"arch=(compute_\d+)", "\n".join(hit.log.lines)))))]
    return ";".join(dict.fromkeys(told))


def used_by(hit: Hit) -> str:
    """The file of the package whose kernel was launched: the last frame that is not torch's."""
    files = (frame.file for frame in frames(hit, before=40))
    return next((file for file in files if not _NOT_A_USER.search(file)), "")


def user(hit: Hit) -> Owner:
    """Whose file that is; where no file is shown, the package that was installed just before, if the table has it."""
    file, asked = used_by(hit), hit.context.asked
    named = asked.targets[0].partition("=")[0] if asked and len(asked.targets) == 1 else ""
    return Owner("package", named) if not file and named and modules.of_package(named) else owner(file)


def shown(hit: Hit) -> modules.Project | None:
    """The project whose kernel the message names, or whose checkout: "/w/third_party/flash-attention/a.h:188"."""
    kernel, found = re.search(r"\berror in (\w+): ", hit.text), _IN_MESSAGE.search(hit.text)
    built = hit.context.asked and hit.context.asked.directory  # by the log itself
    if kernel and not built and (made := extensions.find(kernel[1])) and made.row:
        return made.row
    parts = [*filter(None, re.split(r"[/\\]", found["path"]))] if found else []
    return next((row for row in modules.rows() if row.repository.rpartition("/")[2] in parts), None)


def project(hit: Hit) -> modules.Project | None:
    """The project of that package, where the table has how it is built."""
    module = user(hit).package.replace("-", "_")
    return next(iter((*modules.find(module), modules.of_package(module))), None) if module else None


def build_extension(hit: Hit) -> Iterator[Fix]:
    """Builds it in the way of its own project."""
    if row := project(hit) or shown(hit):
        yield from extensions.build(extensions.Extension(row.project, user(hit).package, row), hit, used_by(hit))
