"""Options and fixtures of all tests.

`--route prebuilt|jit` names the route that the operators must take. nox gives it; the run then fails if dcnbuild is
imported from the checkout instead of the installed package, or if the operators take another route.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cpu_seconds import cpu_seconds

if importlib.util.find_spec("hypothesis"):  # a machine that tests/gpu/session.py runs on may lack it
    from hypothesis import settings

    # The same examples in every run, so that a commit that has passed passes again. To look for new ones:
    # pytest --hypothesis-profile=new. No example has to end in 200 ms, which a busy machine can take for any.
    settings.register_profile("new", deadline=None)
    settings.register_profile("same", settings.get_profile("new"), derandomize=True)
    settings.load_profile("same")

CHECKOUT = Path(__file__).resolve().parents[1]
# The checkout comes last: tools/ is found there, and dcnbuild only where none is installed, wherever pytest was
# started.
sys.path[:] = [*(path for path in sys.path if Path(path).resolve() != CHECKOUT), str(CHECKOUT)]
# On a GPU float32 means float32: cuDNN rounds to TF32 unless it is told not to. torch is not imported for that here.
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
ROUTES = ("prebuilt", "jit")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--route", choices=ROUTES, help="the route that the CPU operators must be served by")


def pytest_configure(config: pytest.Config) -> None:
    # The reference in place of compiled kernels is never what a test meant to run.
    config.addinivalue_line("filterwarnings", "error:dcnbuild runs deform_conv2d as plain torch:RuntimeWarning")


def pytest_sessionstart(session: pytest.Session) -> None:
    route = session.config.getoption("--route")
    if route is None:
        return
    import dcnbuild
    from dcnbuild.builder import native

    assert dcnbuild.__file__ is not None
    if CHECKOUT / "dcnbuild" in Path(dcnbuild.__file__).resolve().parents:
        raise pytest.UsageError(f"--route tests an installed package, but dcnbuild comes from the checkout {CHECKOUT}")
    import torch  # noqa: F401  registers the operators

    served = native.ensure("cpu")
    if served != route:
        reasons = "; ".join(f"{name}: {why}" for name, why in native.status("cpu").rejected)
        raise pytest.UsageError(f"--route {route}, but the CPU is served by {served} ({reasons})")


def pytest_sessionfinish(session: pytest.Session) -> None:
    route = session.config.getoption("--route")
    if route is None:
        return
    from dcnbuild.builder import native

    for device in ("cpu", "cuda"):
        served = native.status(device).route
        # "jit" is what nothing was built for beforehand: there NVRTC comes before nvcc
        if served not in (route, None) and (device, route, served) != ("cuda", "jit", "nvrtc"):
            raise pytest.UsageError(f"--route {route}, but {device} ended on {served}")


def pytest_report_header(config: pytest.Config) -> list[str]:
    if config.getoption("--route") is None:
        return []
    from dcnbuild.builder import native

    return [
        f"dcnbuild {device}: {native.status(device).route} {native.status(device).library}"
        for device in ("cpu", "cuda")
    ]


@pytest.fixture(scope="session")
def importing_torch() -> float:
    """Returns the CPU seconds of `import torch`, with which tests compare other costs."""
    command = [sys.executable, "-c", "import torch"]
    return cpu_seconds(lambda: subprocess.run(command, check=True))


@pytest.fixture(scope="session")
def quick_compiler(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A value for CXX: the compiler without its optimiser, for a test that builds the real sources and hardly runs
    them.
    """
    path = tmp_path_factory.mktemp("compiler") / "c++"
    path.write_text(f'#!/bin/sh\nexec {os.environ.get("CXX") or "c++"} "$@" -O0\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    """The device that a test's tensors are on; CUDA where there is a GPU. pytest's report has it, too."""
    import torch

    name: str = request.param
    request.node.user_properties.append(("device", name))
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    return name
