"""Tests what is known of the releases and the headers of C and C++ libraries."""

from __future__ import annotations

import re

import pytest

from dcnbuild.base import plain_yaml
from dcnbuild.knowledge import cxx_libraries

ROWS = plain_yaml.beside(cxx_libraries.__file__, "cxx_libraries.yaml")


def test_every_replacement_can_be_filled_in() -> None:
    for section in ("gone", "headers"):
        for releases in ROWS[section].values():
            for names in releases.values():
                for name, today in names.items():
                    groups = re.compile(name).groups
                    assert all(int(number) <= groups for number in re.findall(r"\\(\d)", today)), name


@pytest.mark.parametrize(
    ("name", "library", "plain"),
    [
        ("AVStream::codec", "FFmpeg", ""),
        ("CV_BGR2GRAY", "OpenCV", "cv::COLOR_BGR2GRAY"),
        ("nvinfer1::ICudaEngine::getNbBindings", "TensorRT", "getNbIOTensors"),
        ("ceres::QuaternionParameterization", "Ceres Solver", "ceres::QuaternionManifold"),
        ("std::codec", "", ""),
    ],
)
def test_gone(name: str, library: str, plain: str) -> None:
    found = cxx_libraries.gone(name)
    assert (found.get("library", ""), found.get("plain", "")) == (library, plain)


@pytest.mark.parametrize(
    ("path", "name", "copy"),
    [
        ("/w/net/third_party/pybind11/include/pybind11/cast.h", "pybind11", "/w/net/third_party/pybind11"),
        ("/w/net/pybind11/include/pybind11/cast.h", "pybind11", "/w/net/pybind11"),
        ("/w/net/build/_deps/fmt-src/include/fmt/core.h", "fmt", "/w/net/build/_deps/fmt-src"),
        ("/usr/include/fmt/core.h", "fmt", ""),
        ("/usr/include/eigen3/Eigen/src/Core/util/Macros.h", "Eigen", ""),
        ("/e/lib/python3.12/site-packages/torch/include/pybind11/cast.h", "pybind11", ""),
        ("/usr/lib/python3/dist-packages/pybind11/include/pybind11/cast.h", "pybind11", ""),
        ("D:\\py\\include\\pybind11\\cast.h", "pybind11", ""),
        ("/io/opencv/modules/core/src/a.h", "", ""),
        ("/w/net/src/a.h", "", ""),
    ],
)
def test_of_path(path: str, name: str, copy: str) -> None:
    found = cxx_libraries.of_path(path)
    assert (found.get("name", ""), found.get("copy", "")) == (name, copy)


def test_least() -> None:
    assert cxx_libraries.least("pybind11", "python", "3.13") == "2.13"
    assert cxx_libraries.least("pybind11", "python", "3.9") == ""
