"""Looks at every page of a built site in a headless Chromium, and uses its search.

    python -m tools.docs.check_site site [out/site]

No page may be wider than a phone, lose columns of a table on a laptop, lack a picture, name a link by its file or be longer
than a reader scrolls; the light/dark switch works, and the search finds what people type. The pictures of the first page
are left in the second directory. It says why where it cannot look.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.docs import chromium

_DRIVER = Path(__file__).with_name("look_at_site.mjs")
#: In pixels, on a laptop 1400 wide.
TALLEST = 22000
#: What people search for → a page that has to be among what is found, of the first ones.
WORDS = {
    "fp16": "/api/",
    "bf16": "/api/",
    "deform_groups": "/coming-from/",
    "deform_conv2d": "/api/",
    "MultiScaleDeformableAttention": "/deformable-attention/",
    "mmcv": "/coming-from/",
    "mmdetection": "/coming-from/",
    "onnx": "/export/",
    "tensorrt": "/export/",
    "gradcheck": "/pytorch/",
    "torchscript": "/questions/",
    "uninstall": "/build-options/",
    "upgrade": "/questions/",
    "offline": "/questions/",
    "windows": "/questions/",
    "macos": "/questions/",
    "colab": "/questions/",
    "out of memory": "/questions/",
    "license": "/questions/",
    "jetson": "/findings/",
    "docker": "/findings/",
    "wsl": "/findings/",
    "rocm": "/findings/",
    "No module named": "/findings/",
    "undefined symbol": "/findings/",
    "AT_CHECK": "/porting/",
    "cuda-mismatch": "/findings/",
    "h100": "/performance-cuda/",
    "changelog": "/changelog/",
}
_FIRST = 8
#: Seconds for all pages and searches.
_LONGEST = 600


def pages_of(site: Path) -> list[str]:
    """The address of every page, that of the first is empty."""
    found = (path.relative_to(site).parent.as_posix() for path in site.rglob("index.html"))
    return sorted("" if page == "." else f"{page}/" for page in found)


def look(site: Path, out: Path) -> dict[str, Any] | str:
    """What Chromium saw, or why it could not look."""
    asked = json.dumps({"pages": pages_of(site), "words": list(WORDS)})
    return chromium.missing() or chromium.drive(_DRIVER, site, out, asked, _LONGEST)


def faults(seen: dict[str, Any], repository: str) -> Iterator[str]:
    """What is not as it has to be."""
    for screen in ("laptop", "phone"):
        for page, found in seen[screen].items():
            where = page or "the first page"
            if found["tooWide"]:
                yield f"{where} is wider than a {screen}"
            if screen == "laptop" and found["cutTables"]:
                yield f"{where} cuts off columns of: {'; '.join(found['cutTables'])}"
            if screen == "laptop" and found["height"] > TALLEST:
                yield f"{where} is {found['height']} pixels long"
            if found["lost"]:
                yield f"{where} lacks pictures: {', '.join(found['lost'])}"
            if found["named"]:
                yield f"{where} names links by files: {', '.join(found['named'])}"
    if len(set(seen["schemes"])) != 2:
        yield f"the light/dark switch changes nothing: {seen['schemes']}"
    if seen["repository"] != repository:
        yield f"the link to the repository is {seen['repository']!r}, not {repository!r}"
    for word, page in WORDS.items():
        found = list(dict.fromkeys(seen["found"][word]))[:_FIRST]
        if page not in found:
            yield f"a search for {word!r} finds {found or 'nothing'}, not {page}"


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    given = sys.argv[1:] if arguments is None else arguments
    seen = look(Path(given[0]).resolve(), Path(given[1] if given[1:] else "out/site").resolve())
    if isinstance(seen, str):
        print(f"WARNING: the site was not looked at: {seen}")
        return 0
    wrong = list(faults(seen, os.environ.get("DCNBUILD_REPOSITORY", "")))
    print(*(wrong or [f"{len(seen['laptop'])} pages are as they have to be in Chromium"]), sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
