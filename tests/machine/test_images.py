"""Tests which images, repositories and wheels are told in place of those that are gone or never were."""

from __future__ import annotations

import pytest

from dcnbuild.machine import beside_torch, images, repositories, versions, wheels


@pytest.mark.parametrize(
    ("image", "instead"),
    [
        ("nvidia/cuda:11.3.0-devel-ubuntu20.04", "nvidia/cuda:11.3.1-devel-ubuntu20.04"),
        ("docker.io/nvidia/cuda:10.2-cudnn7-devel-ubuntu18.04", "nvidia/cuda:11.0.3-cudnn8-devel-ubuntu20.04"),
        ("nvidia/cuda:12.4.1-cudnn9-devel-ubuntu22.04", "nvidia/cuda:12.4.1-cudnn-devel-ubuntu22.04"),
        ("nvidia/cuda:12.1.1-devel-ubuntu24.04", "nvidia/cuda:12.1.1-devel-ubuntu22.04"),
        ("nvidia/cuda", "nvidia/cuda:12.4.1-base-ubuntu22.04"),
        ("nvidia/cudagl:11.3.0-devel-ubuntu20.04", "nvidia/cuda:11.3.1-devel-ubuntu20.04"),
        ("nvidia/cuda:12.6.3-cudnn-devel-ubuntu22.04", ""),
        ("pytorch/pytorch:2.4.0-cuda12.1-cudnn8-devel", "pytorch/pytorch:2.4.0-cuda12.1-cudnn9-devel"),
        ("pytorch/pytorch:2.1.0-cuda12.1-devel", "pytorch/pytorch:2.1.0-cuda12.1-cudnn8-devel"),
        ("python:3.7-slim-foo", ""),
    ],
)
def test_a_tag_that_is_gone_has_one_in_its_place(image: str, instead: str) -> None:
    assert images.living(image) == instead


@pytest.mark.parametrize(
    ("torch", "cuda", "image"),
    [
        ("2.5.1", "", "pytorch/pytorch:2.5.1-cuda12.4-cudnn9-devel"),
        ("", "11.6", "nvidia/cuda:11.6.2-devel-ubuntu20.04"),
        ("", "10.2", ""),
    ],
)
def test_the_image_with_a_toolkit_is_that_of_the_torch(torch: str, cuda: str, image: str) -> None:
    assert images.devel(torch, cuda) == image


@pytest.mark.parametrize(
    ("system", "toolkit", "nearest"),
    [
        ("fedora38", "12.3", "fedora37"),
        ("fedora40", "12.8", "fedora41"),
        ("fedora40", "", "fedora39"),
        ("rhel9", "12.4", "rhel9"),
        ("rhel11", "", "rhel10"),
        ("ubuntu2310", "", "ubuntu2204"),
        ("plan9", "", ""),
    ],
)
def test_a_system_without_a_repository_gets_the_nearest(system: str, toolkit: str, nearest: str) -> None:
    assert repositories.nearest(system, toolkit) == nearest


def test_a_repository_knows_its_first_toolkit_and_its_address() -> None:
    assert repositories.too_old("ubuntu2404", "12.1") and not repositories.too_old("ubuntu2404", "12.6")
    assert repositories.address("rhel9", "arm").endswith("/rhel9/sbsa/cuda-rhel9.repo")


@pytest.mark.parametrize(
    ("package", "release", "python", "newer", "last"),
    [
        ("numpy", "1.24.4", "3.12", "numpy>=1.26.0", "3.11"),
        ("PyYAML", "5.4.1", "3.13", "PyYAML>=6.0.2", ""),
        ("sentencepiece", "0.2.1", "3.13", "", "3.14"),
        ("unheard-of", "1.0", "3.13", "", ""),
    ],
)
def test_a_release_that_is_older_than_a_python_has_one_with_a_wheel(
    package: str, release: str, python: str, newer: str, last: str
) -> None:
    assert wheels.newer(package, release, python) == newer
    assert wheels.last_python(package, release) == last


def test_what_goes_along_with_a_torch_and_which_torch_it_is_for() -> None:
    assert beside_torch.requirement("torchvision", "2.1.0") == "torchvision==0.16.*"
    assert beside_torch.requirement("xformers", "2.1.0+cu121") == "xformers==0.0.22.post7"
    assert beside_torch.requirement("einops", "2.1.0") == ""
    assert beside_torch.torch_of("torchvision", "0.19.1") == "2.4.1"


def test_the_pythons_of_a_torch_and_the_patch_before_a_release() -> None:
    assert versions.pythons_of("2.1.2") == "3.8 to 3.11"
    assert versions.other_python("2.1.2", "3.13") == "3.11"
    assert versions.other_python("2.1.2", "3.10") == ""
    assert versions.patch_before("13.1.2") == "13.1.1"
    assert versions.patch_before("12.8.0") == ""
