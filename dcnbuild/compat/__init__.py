"""Other packages' names on dcnbuild's operators, so that code written for those packages keeps working.

`dcnbuild.compat.dcn_v2`, `.mmcv`, `.mmdet` (mmdetection 1.x and copies of its ops/dcn), `.torchvision`, `.detectron2`,
`.modulated_deform_conv` and `.deform_conv_v2` have those packages' modules and functions, with the same arguments,
defaults, initialisation and state_dict keys. Modules whose names end in `_ext` have the raw calls of compiled
extensions. `install("dcn_v2")` makes a module importable under its old name; `python -m dcnbuild.compat script.py` runs
a script with all of them. docs/coming-from.md lists the differences from the old packages.
"""

from __future__ import annotations

from dcnbuild.compat.importing import DEFAULT_NAMES, install

__all__ = ["DEFAULT_NAMES", "install"]
