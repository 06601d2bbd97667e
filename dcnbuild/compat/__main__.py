"""`python -m dcnbuild.compat [--install NAME] script.py ...`: runs a script with the old names installed."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from dcnbuild.compat.importing import DEFAULT_NAMES, install, mmcv_extension


def main(argv: Sequence[str] | None = None) -> int:
    """Installs the names and runs the script as `__main__`; returns 2 for a usage error, 0 if the script ends by itself."""
    parser = argparse.ArgumentParser(
        prog="python -m dcnbuild.compat",
        description=f"Runs a script in which the old names are dcnbuild's: {', '.join(DEFAULT_NAMES)}, and mmcv.ops "
        "where mmcv has no compiled operators.",
    )
    parser.add_argument(
        "--install",
        action="append",
        default=[],
        metavar="NAME",
        help="another import name, such as _ext or basicsr.ops.dcn.deform_conv_ext; may be repeated",
    )
    parser.add_argument("-m", dest="module", action="store_true", help="the script is a module")
    parser.add_argument("script", help="what to run")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    args = parser.parse_args(argv)
    if not args.module and not Path(args.script).exists():
        parser.error(f"there is no {args.script}")

    names = (*DEFAULT_NAMES, *([] if mmcv_extension() else ["mmcv.ops"]), *args.install)
    try:
        install(*names)
    except ValueError as error:
        parser.error(str(error))
    sys.argv = [args.script, *args.arguments]
    if args.module:
        sys.path[0] = str(Path.cwd())
        runpy.run_module(args.script, run_name="__main__", alter_sys=True)
    else:
        # What python does with a script: its directory is where imports are looked for first.
        sys.path[0] = str(Path(args.script).resolve().parent)
        runpy.run_path(args.script, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
