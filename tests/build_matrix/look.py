"""Run with a row's own interpreter: what torch is there, and what the built libraries are. Prints JSON.

python look.py torch
python look.py libraries cpu [cuda]
"""

from __future__ import annotations

import json
import platform
import re
import sys
from pathlib import Path
from typing import Any


def torch_facts() -> dict[str, Any]:
    """The installed torch, as it describes itself."""
    import torch

    return {
        "torch": str(torch.__version__),
        "site": str(Path(torch.__file__).parents[1]),
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "gpu": torch.cuda.is_available(),
    }


def library_facts(devices: list[str]) -> dict[str, Any]:
    """Loads the libraries of these devices on the route in force, and says what they are.

    The architectures are read from the file, and the kernels asked of the dispatcher: neither takes the
    build's word.
    """
    import torch

    from dcnbuild.builder import native
    from dcnbuild.builder.record import read_record
    from dcnbuild.machine.elf import cuda_architectures

    native.load_registered(everything=True)
    libraries = {}
    for device in devices:
        if native.status(device).library is None:
            native.ensure(device)
        status = native.status(device)
        path = status.library
        if path is None:
            raise SystemExit(f"{device} is served by {status.route}, no library: {status.rejected}")
        record = read_record(Path(path).parent)
        libraries[device] = {
            "route": status.route,
            "compiler": record and record.compiler,
            "toolkit": record and record.libraries[native._library(device)].toolkit,
            "size": Path(path).stat().st_size,
            "architectures": list(cuda_architectures(path)),
            "recorded": list(status.architectures),
            "without_kernel": [
                name
                for name in _operators()
                if not torch._C._dispatch_has_kernel_for_dispatch_key(name, device.upper())
            ],
        }
    loaded = [device for device in ("cpu", "cuda") if native.status(device).library is not None]
    return {"libraries": libraries, "loaded": loaded}


def _operators() -> list[str]:
    """Every operator that the schemas name, forward and backward."""
    from dcnbuild.builder.sources import csrc_dir

    text = (csrc_dir() / "schema.h").read_text(encoding="utf-8")
    return [f"dcnbuild::{name}" for name in re.findall(r'R"schema\((\w+)\(', text)]


if __name__ == "__main__":
    facts = torch_facts() if sys.argv[1] == "torch" else library_facts(sys.argv[2:])
    print(json.dumps(facts))
