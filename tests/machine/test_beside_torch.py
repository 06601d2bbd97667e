"""Pages of wheels that projects have for each torch and CUDA."""

from __future__ import annotations

import pytest

from dcnbuild.machine.beside_torch import wheel_options


@pytest.mark.parametrize(
    ("package", "torch", "python", "system", "address"),
    [
        ("torch-scatter", "2.5.1+cu124", "", "Linux", "https://data.pyg.org/whl/torch-2.5.0+cu124.html"),
        ("torch-sparse", "2.1.0+cpu", "", "Windows", "https://data.pyg.org/whl/torch-2.1.0+cpu.html"),
        ("dgl", "2.4.0+cu121", "", "Linux", "https://data.dgl.ai/wheels/torch-2.4/cu121/repo.html"),
        ("dgl", "2.4.0+cu121", "", "Windows", ""),  # no longer built
        ("dgl", "2.8.0+cu128", "", "Linux", ""),  # newer than its last release
        ("gsplat", "2.4.1+cu124", "3.10", "Linux", "https://docs.gsplat.studio/whl/pt24cu124"),
        ("gsplat", "2.4.1+cu124", "3.12", "Linux", ""),
        ("torch-cluster", "2.4.1", "", "Linux", ""),  # for which CUDA is not known
        ("numpy", "2.4.1+cu124", "", "Linux", ""),
    ],
)
def test_the_page_is_that_of_the_torch(package: str, torch: str, python: str, system: str, address: str) -> None:
    assert "".join(wheel_options(package, torch, python, system)[2:]) == address
