"""Says what to do when a script under `python -m dcnbuild.compat` fails for want of a module or a name.

Python's own error names the module only, or guesses at a circular import. A script may have wrapped it in one of its
own (`raise ImportError("Failed to import DCNv2 module.")`), so its causes are searched too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from dcnbuild.compat.names import MODULES, ON_REQUEST, ends_in, lookup

_ALIGN = "it samples at three coordinates, and dcnbuild's operators at two"
_INSTEAD = "build the repository's extension (`dcnbuild port` rewrites old sources so that they compile)"

#: Last parts of the names of extensions and packages that dcnbuild has nothing for → what they are, and what to do.
UNSERVED = {
    "deformable_aggregation_with_depth_ext": (
        "SparseDrive's aggregation weighted by depth; dcnbuild has the one without depth only. Leave this import out "
        f"where the model does not use depth, or {_INSTEAD}"
    ),
    "_msmv_sampling_cuda": (
        "SparseBEV's sampling from several cameras; dcnbuild has no such operator. SparseBEV's msmv_sampling_pytorch "
        f"computes the same: call it, or {_INSTEAD}"
    ),
    "deform_attn_ext": (
        "RVRT's guided deformable attention, whose weights come from products of queries and keys; dcnbuild has no "
        f"such operator: {_INSTEAD}"
    ),
    "D3D": f"D3D's three-dimensional deformable convolution: {_ALIGN}; {_INSTEAD}",
    "deform_conv_3d_cuda": f"a three-dimensional deformable convolution: {_ALIGN}; {_INSTEAD}",
    "deform_conv3d_cuda": f"a three-dimensional deformable convolution: {_ALIGN}; {_INSTEAD}",
    "dfa3D": f"DFA3D's attention, which also weighs by depth: {_ALIGN}; {_INSTEAD}",
    "_ext": (
        "an extension of that repository. If it is DCNv2's, run `python -m dcnbuild.compat --install {name} …`; if its "
        f"calls are others, {_INSTEAD}"
    ),
}

_CANNOT_IMPORT = re.compile(r"cannot import name '([^']+)' from (?:partially initialized module )?'([^']+)'")
_NO_ATTRIBUTE = re.compile(r"module '([^']+)' has no attribute '([^']+)'")


def advice(error: BaseException) -> str | None:
    """Returns what to do about the first error in the chain of causes that is known, or None."""
    return next(filter(None, map(_about, _chain(error))), None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _about(error: BaseException) -> str | None:
    text = str(error)
    if isinstance(error, ImportError):
        found = _CANNOT_IMPORT.search(text)
        if found:
            name, module = found.groups()
            return of_module(f"{module}.{name}") or _of_name(name, module)
        return of_module(error.name or "")
    found = _NO_ATTRIBUTE.search(text) if isinstance(error, AttributeError) else None
    return _of_name(found[2], found[1]) if found else None


def add_note(error: BaseException, text: str | None) -> None:
    """Adds it to the error, so that Python prints it after the error; before Python 3.11, prints it now."""
    if text is None:
        return
    if sys.version_info >= (3, 11):
        error.add_note(f"dcnbuild: {text}")
    else:
        print(f"dcnbuild: {text}", file=sys.stderr)


def of_module(name: str) -> str | None:
    """About a module that was not found."""
    for end, what in UNSERVED.items():
        if ends_in(name, end) or name.startswith(f"{end}.") or f".{end}." in name:
            return f"{name} is {what.format(name=name)}"
    if name.startswith("mmcv."):
        return (
            "mmcv is not installed, and dcnbuild stands in for mmcv.ops only. Install mmcv without its operators, by "
            "`pip install mmcv-lite` (mmcv 2) or `pip install 'mmcv<2'` (mmcv 1); dcnbuild serves the deformable ones"
        )
    asked = next((each for each in ON_REQUEST if ends_in(name, each)), None)
    if asked is not None:
        return f"dcnbuild has {asked}, a name that other packages use too: python -m dcnbuild.compat --install {name} …"
    return None


def _of_name(name: str, module: str) -> str | None:
    """About a name that one of our modules does not have."""
    served = next((each for each in MODULES if ends_in(module, each)), None)
    if served is None:
        return None
    if (lookup(module) or "").endswith("_ext"):
        return f"dcnbuild stands in for the extension {module}, whose package has no {name}: {_INSTEAD}"
    return (
        f"dcnbuild's {module} has no {name}. It is of the repository's own copy of {served}: check that copy out (git "
        "submodule update --init), and dcnbuild executes its file with its own extension"
    )
