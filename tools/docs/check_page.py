"""Checks the page "What broke my build?" of a built site, in a headless Chromium.

    python -m tools.docs.check_page site [out/page]

It pastes a log, starts by the keyboard, looks at the findings in light and dark and as wide as a phone, follows the
link to the report, and leaves the screenshots in the second directory. It says why where it cannot: without Chromium or
node.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.docs import chromium

LOG = (
    "[1/2] /usr/local/cuda-13.0/bin/nvcc -c csrc/dcn.cu -o dcn.o -gencode=arch=compute_70,code=sm_70\n"
    "nvcc fatal   : Unsupported gpu architecture 'compute_70'\n"
    "ninja: build stopped: subcommand failed. <b>no HTML</b>\n"
)
_DRIVER = Path(__file__).with_name("drive_browser.mjs")
#: Loading Python takes some seconds; a page that hangs is given up.
_LONGEST = 300


def look(site: Path, out: Path) -> dict[str, Any] | str:
    """What Chromium saw, or why it could not look."""
    why = chromium.missing()
    if why is None and not (site / "browser" / "pyodide.mjs").exists():
        why = "this build of the site has no Pyodide"
    return why or chromium.drive(_DRIVER, site, out, LOG, _LONGEST)


def faults(seen: dict[str, Any]) -> Iterator[str]:
    """What is not as it has to be."""
    typed = seen["typed"]
    if [item["page"] for item in typed["findings"]] != ["../findings/#unsupported-gpu-arch"]:
        yield f"the findings are {typed['findings']}"
    elif "TORCH_CUDA_ARCH_LIST" not in typed["findings"][0]["fix"]:
        yield f"the fix is {typed['findings'][0]['fix']}"
    if typed["focus"] != "doctor-findings":
        yield f"the keyboard's focus is on {typed['focus'] or 'nothing'}, not on the findings"
    if seen["dark"]["background"] == typed["background"]:
        yield "the dark page is as light as the light one"
    if seen["phone"]["tooWide"]:
        yield "the page is wider than a phone"
    if seen["linked"]["findings"] != typed["findings"] or seen["log"] != LOG:
        yield f"the link {seen['link'][:80]} does not bring the log back"
    said, hash_ = seen["tooLong"]
    if "too long" not in said or hash_:
        yield f"of a log that is too long for a link the page says {said!r}"


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    given = sys.argv[1:] if arguments is None else arguments
    seen = look(Path(given[0]).resolve(), Path(given[1] if given[1:] else "out/page").resolve())
    if isinstance(seen, str):
        print(f"WARNING: the page of the doctor was not looked at: {seen}")
        return 0
    wrong = list(faults(seen))
    print(*(wrong or ["the page of the doctor works in Chromium"]), sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
