"""Old names on dcnbuild's operators, so that code written for other packages keeps working.

`dcnbuild.compat.dcn_v2`, `.mmcv`, `.mmdet` (mmdetection 1.x and what copied its ops/dcn), `.torchvision`, `.detectron2`,
`.modulated_deform_conv` and `.deform_conv_v2` have the modules and functions of those packages with the same arguments,
defaults, initialisation and state_dict keys; the modules in `_ext` have the raw calls of compiled extensions.
`install("dcn_v2")` puts one under its old import name; `python -m dcnbuild.compat script.py` runs a script with them
installed. What differs from the old packages is listed in docs/coming-from.md.
"""

from __future__ import annotations

from dcnbuild.compat.importing import DEFAULT_NAMES, install

__all__ = ["DEFAULT_NAMES", "install"]
