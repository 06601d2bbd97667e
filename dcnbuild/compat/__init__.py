"""Old names on dcnbuild's operators, so that code written for other packages keeps working.

`dcnbuild.compat.dcn_v2`, `.mmcv`, `.torchvision` and `.detectron2` have the modules and functions of those packages with the
same arguments, defaults, initialisation and state_dict keys; `.dcn_v2_ext` and `.deform_conv_ext` have the raw calls of the
compiled extensions. `install("dcn_v2")` puts one under its old import name; `python -m dcnbuild.compat script.py` runs a
script with them installed. What differs from the old packages is listed in docs/coming-from.md.
"""

from __future__ import annotations

from dcnbuild.compat.importing import DEFAULT_NAMES, install

__all__ = ["DEFAULT_NAMES", "install"]
