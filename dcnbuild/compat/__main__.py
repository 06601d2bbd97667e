"""`python -m dcnbuild.compat [--install NAME] [--not NAME] script.py ...`: runs a script with the old names
installed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dcnbuild.compat.importing import DEFAULT_NAMES, install, mmcv_extension
from dcnbuild.compat.running import Run, run_as_main, script_path


def main(argv: Sequence[str] | None = None) -> int:
    """Installs the names and runs the script as `__main__`; returns 0 when the script ends by itself.

    Raises:
        SystemExit: from the script, or from argparse (2 for wrong usage).
    """
    parser = argparse.ArgumentParser(
        prog="python -m dcnbuild.compat",
        description=f"Runs a script with dcnbuild's modules under these names: {', '.join(DEFAULT_NAMES)}, and "
        f"mmcv.ops "
        "if mmcv has no compiled operators. Processes that the script spawns have them too.",
    )
    parser.add_argument(
        "--install",
        action="append",
        default=[],
        metavar="NAME",
        help="replace another import name, such as _ext or detectron2.layers.deform_conv; may be repeated",
    )
    parser.add_argument(
        "--not",
        action="append",
        default=[],
        dest="without",
        metavar="NAME",
        help="leave a name to the repository, such as DCNv2.dcn_v2; may be repeated",
    )
    parser.add_argument("-m", dest="module", action="store_true", help="run a module by its name")
    parser.add_argument("script", help="run this script, or with -m this module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="pass these arguments to it")
    args = parser.parse_args(argv)
    path = None if args.module else script_path(args.script)
    if not args.module and path is None:
        parser.error(f"there is no {args.script}")

    names = (*DEFAULT_NAMES, *([] if mmcv_extension() else ["mmcv.ops"]), *args.install)
    try:
        install(*names, without=args.without)
    except ValueError as error:
        parser.error(str(error))
    # Like python itself: imports are searched in the script's directory first.
    sys.path[0] = str(Path.cwd() if path is None else path.resolve().parent)
    sys.argv = [args.script, *args.arguments]
    target = args.script if path is None else str(path)
    run_as_main(Run(target, args.module, names, tuple(args.without)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
