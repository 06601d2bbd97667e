"""A plugin of pytest: a worker whose CUDA context is spoilt ends, so that xdist gives its other tests to a new one.

After an illegal access every call of CUDA fails, and with it every later test of the process.
"""

from __future__ import annotations

import os
import sys

import pytest

STATUS = 70


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    torch = sys.modules.get("torch")
    if not hasattr(item.config, "workerinput") or torch is None or not torch.cuda.is_initialized():
        return
    try:
        torch.cuda.synchronize()
    except RuntimeError as error:
        # xdist says only that a worker has crashed
        capture = item.config.pluginmanager.getplugin("capturemanager")
        if capture is not None:
            capture.suspend_global_capture(in_=True)
        line = str(error).partition("\n")[0]
        os.write(2, f"{item.nodeid} leaves CUDA unusable, and its worker ends: {line}\n".encode())
        os._exit(STATUS)
