"""`python -m dcnbuild.compat [--install NAME] [--not NAME] script.py ...`: runs a script with the old names installed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dcnbuild.compat.importing import DEFAULT_NAMES, install, mmcv_extension
from dcnbuild.compat.running import Run, run_as_main, script_path


def main(argv: Sequence[str] | None = None) -> int:
    """Installs the names and runs the script as `__main__`; returns 2 for a usage error, 0 if the script ends by itself."""
    parser = argparse.ArgumentParser(
        prog="python -m dcnbuild.compat",
        description=f"Runs a script in which the old names are dcnbuild's: {', '.join(DEFAULT_NAMES)}, and mmcv.ops "
        "where mmcv has no compiled operators. Processes that the script spawns have them too.",
    )
    parser.add_argument(
        "--install",
        action="append",
        default=[],
        metavar="NAME",
        help="another import name, such as _ext or detectron2.layers.deform_conv; may be repeated",
    )
    parser.add_argument(
        "--not",
        action="append",
        default=[],
        dest="without",
        metavar="NAME",
        help="a name to leave to the repository, such as DCNv2.dcn_v2; may be repeated",
    )
    parser.add_argument("-m", dest="module", action="store_true", help="the script is a module")
    parser.add_argument("script", help="what to run")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")
    args = parser.parse_args(argv)
    path = None if args.module else script_path(args.script)
    if not args.module and path is None:
        parser.error(f"there is no {args.script}")

    names = (*DEFAULT_NAMES, *([] if mmcv_extension() else ["mmcv.ops"]), *args.install)
    try:
        install(*names, without=args.without)
    except ValueError as error:
        parser.error(str(error))
    # What python does with a script: its directory is where imports are looked for first.
    sys.path[0] = str(Path.cwd() if path is None else path.resolve().parent)
    sys.argv = [args.script, *args.arguments]
    target = args.script if path is None else str(path)
    run_as_main(Run(target, args.module, names, tuple(args.without)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
