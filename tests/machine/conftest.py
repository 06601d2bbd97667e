"""Asks torch for its build once, in a process of its own, since importing torch takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from dcnbuild.machine.torch_install import find_torch

_PROGRAM = """
import json, os, sys
import torch
from torch.utils import cpp_extension

homes = []
for env in json.loads(sys.argv[1]):
    for name in ("CUDA_HOME", "CUDA_PATH"):
        os.environ.pop(name, None)
    os.environ.update(env)
    homes.append(cpp_extension._find_cuda_home())
refused = []
for name in [*json.loads(sys.argv[2]), "4.2", "Voodoo"]:
    os.environ["TORCH_CUDA_ARCH_LIST"] = name
    try:
        cpp_extension._get_cuda_arch_flags()
    except ValueError:
        refused.append(name)
flags = torch._C._cuda_getArchFlags() if torch.version.cuda else None
print(json.dumps({
    "version": torch.__version__,
    "cuda": torch.version.cuda,
    "cxx11_abi": torch.compiled_with_cxx11_abi(),
    "architectures": sorted((flags or "").split()),
    "file": torch.__file__,
    "homes": homes,
    "refused": refused,
}))
"""


@pytest.fixture(scope="session")
def wrapped_nvcc(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A wrapper script named nvcc on a PATH of its own, and the toolkit that it leads to."""
    from machine.trees import script, toolkit

    top = tmp_path_factory.mktemp("wrapped")
    root = toolkit(top / "opt/cuda", "13.0")
    script(top / "bin/nvcc", f'exec {root}/bin/nvcc "$@"')
    return top


@pytest.fixture(scope="session")
def environments(wrapped_nvcc: Any) -> list[dict[str, str]]:
    """Environments in which torch is asked for its CUDA_HOME."""
    return [
        {"PATH": f"{wrapped_nvcc}/bin:/usr/bin:/bin"},
        {"PATH": "/usr/bin:/bin", "CUDA_HOME": "/nowhere"},
        {"PATH": "/usr/bin:/bin", "CUDA_PATH": "/x"},
        {"PATH": "/bin"},
    ]


@pytest.fixture(scope="session")
def torch_itself(environments: list[dict[str, str]]) -> dict[str, Any]:
    """Version, CUDA, ABI, architectures, file, CUDA_HOME in each of `environments`, refused names."""
    found = find_torch()
    asked = subprocess.run(
        [
            sys.executable,
            "-c",
            _PROGRAM,
            json.dumps(environments),
            json.dumps(found.listable if found else []),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(asked.stdout.splitlines()[-1])
    return answer
