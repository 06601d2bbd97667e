"""Programs that draw where there is no screen, or no part of the driver that draws."""

from __future__ import annotations

import pytest
from doctor.reading import findings

_QT = 'qt.qpa.plugin: Could not load the Qt platform plugin "xcb" in "" even though it was found.'
_TRACE = 'Traceback (most recent call last):\n  File "run.py", line 3, in <module>\n    draw()\n'


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (
            "$ colmap feature_extractor --image_path a\nqt.qpa.xcb: could not connect to display",
            "--SiftExtraction.use_gpu 0",
        ),
        (
            "$ colmap exhaustive_matcher --database_path a\nERROR: SiftGPU not fully supported.",
            "--SiftMatching.use_gpu 0",
        ),
        (
            "$ colmap automatic_reconstructor --image_path a\nE2 opengl_utils.cc:54] Check failed: context_.create()",
            "--use_gpu 0",
        ),
        ("$ ns-process-data images --data a\nCannot use Sift GPU without CUDA or OpenGL support.", "a --no-gpu"),
        (
            f"$ python view.py\nqt.qpa.xcb: could not connect to display\n{_QT}\nAborted (core dumped)",
            "QT_QPA_PLATFORM=offscreen",
        ),
        (
            f"$ python run.py\n{_TRACE}_tkinter.TclError: no display name and no $DISPLAY environment variable",
            "xvfb-run -a python run.py",
        ),
        (
            "$ python run.py\nvtkXOpenGLRenderWindow (0x55): bad X server connection. DISPLAY=. Aborting.",
            "xvfb-run -a python run.py",
        ),
        (
            "$ ./instant-ngp data/fox\n12:00:00 ERROR    Uncaught exception: GLFW could not be initialized.",
            "data/fox --no-gui",
        ),
        (
            f"$ python run.py\n{_TRACE}RuntimeError: Cuda error: 304[cudaGraphicsGLRegisterBuffer(&b);] nvdiffrast",
            "RasterizeCudaContext",
        ),
    ],
)
def test_without_a_screen(log: str, said: str) -> None:
    found = findings(log)[0]
    assert found.id == "no-display"
    assert said in "\n".join(found.fix)


@pytest.mark.parametrize(
    "line",
    [
        "Platform::WindowlessEglApplication::tryCreateContext(): unable to find EGL device for CUDA device 0",
        "RuntimeError: vk::createInstanceUnique: ErrorIncompatibleDriver",
        "RuntimeError: failed to find a rendering device",
        "ImportError: Cannot initialize a EGL device display.",
        "\terr = EGL_NOT_INITIALIZED,",
    ],
)
def test_without_the_drivers_part_for_graphics(line: str) -> None:
    bare, inside = (
        findings(line)[0],
        findings(f"$ docker run --gpus all -it x\nroot@0123456789ab:/# python run.py\n{line}")[0],
    )
    assert bare.id == inside.id == "driver-capabilities"
    assert "libnvidia-gl" in bare.fix[0]
    assert "graphics" in "\n".join(inside.fix) and "libnvidia-gl" not in "\n".join(inside.fix)
