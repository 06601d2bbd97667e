"""What CMake does not find: by its own message, and by that of a project."""

from __future__ import annotations

import pytest
from doctor.reading import told

_NOT_PROVIDED = (
    "CMake Error at CMakeLists.txt:20 (find_package):\n"
    '  By not providing "FindNAME.cmake" in CMAKE_MODULE_PATH this project has\n'
    '  asked CMake to find a package configuration file provided by "NAME", but\n'
    "  CMake did not find one."
)
_MISSING = (
    "CMake Error at FindPackageHandleStandardArgs.cmake:230 (message):\n  Could NOT find NAME (missing: NAME_LIBRARY)"
)


@pytest.mark.parametrize(
    ("log", "package"),
    [
        (_NOT_PROVIDED.replace("NAME", "Ceres"), "libceres-dev"),
        (_NOT_PROVIDED.replace("NAME", "CHOLMOD"), "libsuitesparse-dev"),
        (_NOT_PROVIDED.replace("NAME", "Qt5"), "qtbase5-dev"),
        (_MISSING.replace("NAME", "METIS"), "libmetis-dev"),
        (_MISSING.replace("NAME", "GLEW"), "libglew-dev"),
        ("CMake Error at cmake/FindFreeImage.cmake:80 (message):\n  Could not find FreeImage", "libfreeimage-dev"),
        (
            "CMake Error at glfw/CMakeLists.txt:209 (message):\n  RandR headers not found; install libxrandr",
            "libxrandr-dev",
        ),
        ("CMake Error at glfw/CMakeLists.txt:9 (message):\n  The Xcursor headers were not found", "libxcursor-dev"),
        (
            "-- Could NOT find EGL (missing: EGL_INCLUDE_DIR)\nCMake Error at a/CMakeLists.txt:796 (message):\n"
            "  EGL library, required by some contexts, was not found.  Set WITH_EGLCONTEXT",
            "libegl1-mesa-dev",
        ),
    ],
)
def test_the_package_that_has_it_is_installed(log: str, package: str) -> None:
    assert f"sudo apt-get install {package}" in told(log)[1]


def test_what_no_table_has_is_searched_for() -> None:
    assert told(_NOT_PROVIDED.replace("NAME", "Frobnicator"))[1][0] == "sh -c 'apt-cache search \"$1\"' sh Frobnicator"
