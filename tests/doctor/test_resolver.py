"""The pip line: driver x GPU x Python x wanted torch."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from doctor.machines import (
    NEWEST,
    RTX_4090,
    RTX_5090,
    V100,
    broken,
    gpu_driver,
    machine,
    one,
    python,
    toolkit,
    torch,
)
from hypothesis import given
from hypothesis import strategies as st

from dcnbuild.doctor.examples import HEALTHY
from dcnbuild.doctor.resolver import Resolution, resolve
from dcnbuild.machine.compatibility import table
from dcnbuild.machine.facts import Driver, Facts, Gpu
from dcnbuild.machine.torch_wheels import rejection, wheels
from dcnbuild.machine.wish import parse_wish

INDEX = "https://download.pytorch.org/whl"
K80 = Gpu("Tesla K80", (3, 7), 11441)
H100 = Gpu("NVIDIA H100", (9, 0), 81559)


def on(driver: str, cuda: str, *gpus: Gpu, version: str = "3.11.9") -> Facts:
    return replace(python(version=version), driver=gpu_driver(driver, cuda, *gpus), torch=None)


#: No driver and no GPU, but a toolkit.
BUILDER = broken(driver=Driver(devices=0), torch=None)


def line(facts: Facts, wanted: str | None = None) -> str | None:
    return resolve(facts, wanted).line


@pytest.mark.parametrize(
    ("facts", "wanted", "expected"),
    [
        (on("610.43.02", "13.3", RTX_4090), None, f"torch=={NEWEST}"),
        (on("580.65.06", "13.0", RTX_5090), None, f"torch=={NEWEST}"),
        (on("535.104.05", "12.2", RTX_4090), None, f"torch==2.14.1 --index-url {INDEX}/cu126"),
        (on("580.65.06", "13.0", V100), None, f"torch==2.14.1 --index-url {INDEX}/cu126"),
        (on("470.82.01", "11.4", V100), None, f"torch==2.7.1 --index-url {INDEX}/cu118"),
        (on("470.82.01", "11.4", K80), None, f"torch==2.7.1 --index-url {INDEX}/cu118"),
        (on("570.124.06", "12.8", RTX_5090), None, f"torch==2.11.0 --index-url {INDEX}/cu128"),
        (on("570.124.06", "12.8", RTX_5090, V100), None, "torch==2.10.0"),
        (on("610.43.02", "13.3", RTX_4090, version="3.10.2"), None, "torch==2.14.1"),
        (on("610.43.02", "13.3", RTX_4090, version="3.9.1"), None, "torch==2.8.0"),
        (on("610.43.02", "13.3", RTX_4090), "2.5", "torch==2.5.1"),
        (on("610.43.02", "13.3", RTX_4090), "2.5.0", "torch==2.5.0"),
        (on("610.43.02", "13.3", RTX_4090), "2.5+cu118", f"torch==2.5.1 --index-url {INDEX}/cu118"),
        (on("610.43.02", "13.3", RTX_4090), "2.5+cpu", f"torch==2.5.1 --index-url {INDEX}/cpu"),
        (
            on("460.27.04", "11.2", Gpu("NVIDIA GeForce RTX 3090", (8, 6)), version="3.8.1"),
            "1.12",
            f"torch==1.12.1+cu116 'numpy<2' --extra-index-url {INDEX}/cu116",
        ),
        (
            on("440.33.01", "10.2", V100, version="3.7.1"),
            "1.6.0+cu101",
            f"torch==1.6.0+cu101 'numpy<2' -f {INDEX}/torch_stable.html",
        ),
        (on("440.33.01", "10.2", V100, version="3.7.1"), "1.6", "torch==1.6.0 'numpy<2'"),
        (
            broken(driver=Driver(devices=0), torch=None, toolkits=()),
            None,
            f"torch=={NEWEST} --index-url {INDEX}/cpu",
        ),
        # a Docker build or a login node: no GPU, but what a build for one needs
        (BUILDER, None, f"torch=={NEWEST}"),
        (BUILDER, "2.5", "torch==2.5.1"),
        (BUILDER, "2.5.1+cu121", f"torch==2.5.1 --index-url {INDEX}/cu121"),
        (BUILDER, "cpu", f"torch=={NEWEST} --index-url {INDEX}/cpu"),
        (
            replace(BUILDER, toolkits=(toolkit("12.4"),)),
            "2.14",
            f"torch==2.14.1 --index-url {INDEX}/cu126",
        ),
        (replace(BUILDER, toolkits=(), torch=torch("2.5.1", "12.4")), "2.5.0", "torch==2.5.0"),
        (replace(BUILDER, toolkits=()), "cu126", f"torch==2.14.1 --index-url {INDEX}/cu126"),
        (on("610.43.02", "13.3", RTX_4090), ">=2.4,<2.8", "torch==2.7.1"),
        (on("610.43.02", "13.3", RTX_4090), "latest", f"torch=={NEWEST}"),
        (on("535.104.05", "12.2", RTX_4090), "cu121", f"torch==2.5.1 --index-url {INDEX}/cu121"),
    ],
)
def test_the_newest_wheel_that_works(facts: Facts, wanted: str | None, expected: str) -> None:
    assert line(facts, wanted) == f"python -m pip install {expected}"


def test_each_nearer_candidate_is_rejected_with_a_reason() -> None:
    resolution = resolve(on("535.104.05", "12.2", RTX_4090), "<2.16")
    assert [(wheel.label, reason) for wheel, reason in resolution.rejected] == [
        (label, "needs driver 580 or newer, this is 535.104.05")
        for label in ("2.15.0 (CUDA 13.2)", "2.14.1 (CUDA 13.0)", "2.14.1 (CUDA 13.2)")
    ]
    assert resolution.reasons() == [
        "2.15.0 (CUDA 13.2), 2.14.1 (CUDA 13.0), 2.14.1 (CUDA 13.2): needs driver 580 or newer, this is 535.104.05"
    ]


def test_many_candidates_with_one_reason_are_told_shortly() -> None:
    reasons = resolve(on("470.82.01", "11.4", K80)).reasons()
    assert len(reasons) == 2
    assert all("…" in reason for reason in reasons)


def test_no_wheel_is_better_than_a_wrong_one() -> None:
    resolution = resolve(on("610.43.02", "13.3", H100), "1.5")
    assert resolution.line is None
    assert resolution.problem == "no torch wheel works on this machine."
    assert "Python" in resolution.reasons()[0]
    older = resolve(on("610.43.02", "13.3", H100, version="3.8.1"), "1.5")
    assert "does not know the NVIDIA H100" in older.reasons()[0]


@pytest.mark.parametrize("facts", [machine(architecture="aarch64"), machine(system="Darwin", architecture="arm64")])
def test_nothing_is_said_of_other_platforms(facts: Facts) -> None:
    assert resolve(facts) == Resolution(problem="the table of wheels covers Linux and Windows on x86-64 only.")


def test_on_windows_every_torch_with_cuda_is_of_an_index() -> None:
    """PyPI's torch for Windows has no CUDA."""
    windows = machine(system="Windows", architecture="AMD64")
    facts = replace(on("610.43.02", "13.3", H100), machine=windows.machine)
    found = resolve(facts)
    assert found.wheel is not None and found.wheel.cuda == found.wheel.release.default
    assert str(found.line).endswith(f"--index-url https://download.pytorch.org/whl/{found.wheel.tag}")


@pytest.mark.parametrize("wanted", ["1.16", "2.14.5"])
def test_versions_that_never_were(wanted: str) -> None:
    assert str(resolve(HEALTHY, wanted).problem).startswith(f"there never was a torch {wanted}")


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ("99.0", f"there is no torch 99.0 in the table of wheels; the newest is {NEWEST}."),
        ("2.99", f"there is no torch 2.99 in the table of wheels; the newest is {NEWEST}."),
        ("1.99", "there never was a torch 1.99; the last 1.x is 1.13.1."),
        (">=3", f"no torch of the table of wheels is >=3; the newest is {NEWEST}."),
        (
            "2.5.1+cu130",
            "there is no torch ==2.5.1 for CUDA 13.0 in the table of wheels; there are cpu, cu118, cu121, cu124.",
        ),
    ],
)
def test_versions_that_are_not_in_the_table(wanted: str, problem: str) -> None:
    assert resolve(HEALTHY, wanted).problem == problem
    assert one(broken(wanted_torch=wanted), "torch-never-existed").severity == "error"


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("2.5", "torch ==2.5.*"),
        ("v2.5.1", "torch ==2.5.1"),
        ("torch==2.5.1", "torch ==2.5.1"),
        ("PyTorch 2.5", "torch ==2.5.*"),
        ("2", "torch ==2.*"),
        ("2.5.1+cu121", "torch ==2.5.1 for CUDA 12.1"),
        ("2.5 cu121", "torch ==2.5.* for CUDA 12.1"),
        ("latest", "the newest torch"),
        ("Latest+cpu", "the newest torch without CUDA"),
        ("cu126", "the newest torch for CUDA 12.6"),
        ("CUDA 12.6", "the newest torch for CUDA 12.6"),
        ("cuda12.6", "the newest torch for CUDA 12.6"),
        (">=2", "torch >=2"),
        ("torch>=2.1, <2.4", "torch <2.4,>=2.1"),
        ("~=2.5.0", "torch ~=2.5.0"),
        ("2.5.*", "torch ==2.5.*"),
    ],
)
def test_what_is_asked_for(text: str, understood: str) -> None:
    assert str(parse_wish(text)) == understood


@pytest.mark.parametrize(
    "text",
    [
        "abc",
        "",
        " ",
        "+",
        "2.5+",
        "2.5+abc",
        "nightly",
        "==",
        ">=x",
        "2..5",
        "1.2.3.4.5",
        "rocm6.2",
        "$(id)",
        "²",
    ],
)
def test_what_asks_for_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected e\.g\. 2\.5\.1") as caught:
        parse_wish(text)
    assert text in str(caught.value)


@given(st.text(max_size=12))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        wish = parse_wish(text)
    except ValueError:
        return
    assert parse_wish(f"{wish.specifier or 'latest'}{'+' + wish.tag if wish.tag else ''}") == wish


@pytest.mark.parametrize("torch_wheel", ["2.5.1", "2.0.1", "2.14.1"])
def test_torchvision_and_torchaudio_go_along(torch_wheel: str) -> None:
    """They are compiled against one torch: left behind, `import torchvision` fails."""
    packages = {"torchvision": "0.16.0", "torchaudio": "2.1.0"}
    facts = replace(on("610.43.02", "13.3", RTX_4090), python=python(packages=packages, version="3.10.1").python)
    vision = {"2.5.1": "0.20", "2.0.1": "0.15", "2.14.1": "0.29"}[torch_wheel]
    audio = {"2.5.1": "'torchaudio==2.5.*'", "2.0.1": "'torchaudio==2.0.*'", "2.14.1": "torchaudio"}[torch_wheel]
    assert f"torch=={torch_wheel} 'torchvision=={vision}.*' {audio}" in str(line(facts, torch_wheel))


def test_pip_would_take_another_build_of_the_same_version_for_done() -> None:
    installed = replace(on("535.104.05", "12.2"), torch=torch("2.14.1+cu130", "13.0"))
    assert "pip uninstall -y torch && python -m pip install torch==2.14.1 --index-url" in str(line(installed))
    same = replace(installed, torch=torch("2.14.1+cu126", "12.6"))
    assert "uninstall" not in str(line(same))


def test_the_pip_of_this_python_even_where_another_is_first_on_path() -> None:
    facts = python(on_path=HEALTHY.python.base_prefix / "bin/python3")
    assert str(line(facts)).startswith("/home/ada/venv/bin/python -m pip install ")


def test_a_driver_of_which_only_the_cuda_version_is_known() -> None:
    facts = broken(driver=Driver(None, "12.4", ("libcuda",), (RTX_4090,)))
    assert str(line(facts)).endswith("/cu126")
    assert "needs a driver for CUDA 13" in resolve(facts).reasons()[0]


def test_a_gpu_without_a_driver_yet_gets_the_newest() -> None:
    assert str(line(broken(driver=Driver(devices=1), torch=None))).endswith(f"torch=={NEWEST}")


@pytest.mark.parametrize("release", [row.release for row in table().torch])
def test_what_is_chosen_is_never_rejected(release: str) -> None:
    """And nothing that was rejected would have been accepted."""
    row = next(row for row in table().torch if row.release == release)
    drivers = ["440.33.01", "470.82.01", "535.104.05", "580.65.06"]
    for driver, gpu in product(drivers, [K80, V100, RTX_4090, RTX_5090]):
        facts = on(driver, "", gpu, version=table().torch[0].python[0])
        facts = replace(facts, python=replace(facts.python, version=row.python[1]))
        resolution = resolve(facts, row.newest)
        case = (driver, gpu)
        if resolution.wheel is not None:
            assert rejection(resolution.wheel, facts) is None, case
            assert resolution.wheel.torch == row.newest, case
        for wheel, reason in resolution.rejected:
            assert rejection(wheel, facts) == reason, case
        tried = list(wheels(parse_wish(row.newest), facts))
        assert len(tried) == len(row.variants), case
        assert tried[0].cuda == row.default, case


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("torch<=2.14.1", "torch==2.14.1"),
        ("torch==2.5.1", "torch==2.5.1"),
        ("torch<2", "torch==1.13.1"),
        ("torchvision<=0.20", f"torch=={NEWEST}"),
        ("torch @ file:///torch.whl", f"torch=={NEWEST}"),
        ("no constraint <<", f"torch=={NEWEST}"),
    ],
)
def test_the_line_is_one_that_the_constraints_of_pip_allow(constraint: str, expected: str) -> None:
    source = "/etc/pip.conf: /etc/constraints.txt"
    facts = on("610.43.02", "13.3", RTX_4090)
    facts = replace(facts, python=replace(facts.python, constraints=((source, constraint),)))
    found = resolve(facts)
    assert found.line is not None and f"install {expected}" in found.line
    if NEWEST not in expected:
        assert found.reasons()[0].endswith(f"pip is constrained to {constraint} ({source})")
