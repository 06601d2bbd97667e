"""Tests finding driver and GPUs: kernel files, a libcuda made for these tests, nvidia-smi's lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from machine.trees import compile_library, script, write

from dcnbuild.machine.driver import find_driver, parse_libcuda, parse_smi
from dcnbuild.machine.facts import Driver, Gpu

NOTHING: dict[str, str] = {"PATH": ""}
OPEN_MODULE = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  "
    "(dvs-builder@U22-I3-AE18-23-3)  Tue Sep 23 10:11:16 UTC 2025\n"
    "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04)\n"
)
CLOSED_MODULE = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\n"
    "GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)\n"
)


def test_a_machine_without_anything(tmp_path: Path) -> None:
    assert find_driver(NOTHING, tmp_path) == Driver()
    (tmp_path / "sys/bus/pci/devices").mkdir(parents=True)
    assert find_driver(NOTHING, tmp_path) == Driver(devices=0)


@pytest.mark.parametrize(
    ("name", "text", "version"),
    [
        ("proc/driver/nvidia/version", OPEN_MODULE, "580.95.05"),
        ("proc/driver/nvidia/version", CLOSED_MODULE, "535.104.05"),
        ("sys/module/nvidia/version", "470.82.01\n", "470.82.01"),
        ("sys/module/nvidia/version", "550.54\n", "550.54"),
        ("proc/driver/nvidia/version", "NVRM version: unknown\n", None),
    ],
)
def test_the_kernels_files(tmp_path: Path, name: str, text: str, version: str | None) -> None:
    write(tmp_path / name, text)
    driver = find_driver(NOTHING, tmp_path)
    assert driver.version == version
    assert driver.found_by == ((f"/{name}",) if version else ())


def test_devices_on_the_pci_bus(tmp_path: Path) -> None:
    bus = tmp_path / "sys/bus/pci/devices"
    for slot, vendor, kind in [
        ("0000:01:00.0", "0x10de", "0x030000"),  # a graphics card
        ("0000:01:00.1", "0x10de", "0x040300"),  # its sound
        ("0000:02:00.0", "0x10de", "0x030200"),  # a card without a display
        ("0000:03:00.0", "0x8086", "0x030000"),  # Intel's
    ]:
        write(bus / slot / "vendor", vendor + "\n")
        write(bus / slot / "class", kind + "\n")
    assert find_driver(NOTHING, tmp_path).devices == 2


@pytest.mark.parametrize(
    ("output", "version", "gpus"),
    [
        (
            "535.104.05, NVIDIA GeForce RTX 4090, 24564, 8.9\n535.104.05, Tesla V100-SXM2-16GB, 16384, 7.0\n",
            "535.104.05",
            (
                Gpu("NVIDIA GeForce RTX 4090", (8, 9), 24564),
                Gpu("Tesla V100-SXM2-16GB", (7, 0), 16384),
            ),
        ),
        ("440.33.01, Tesla K80, 11441\n", "440.33.01", (Gpu("Tesla K80", None, 11441),)),
        (
            "580.95.05, NVIDIA GB10, [N/A], 12.1\n",
            "580.95.05",
            (Gpu("NVIDIA GB10", (12, 1), None),),
        ),
    ],
)
def test_lines_of_nvidia_smi(output: str, version: str, gpus: tuple[Gpu, ...]) -> None:
    assert parse_smi(output) == (version, gpus, None, 0)


@pytest.mark.parametrize(
    "output",
    [
        "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.95\n",
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure "
        "that the latest NVIDIA driver is installed and running.\n",
        "No devices were found\n",
    ],
)
def test_complaints_of_nvidia_smi(output: str) -> None:
    assert parse_smi(output) == (None, (), output.splitlines()[0], 0)
    preload = "ERROR: ld.so: object '/x.so' from LD_PRELOAD cannot be preloaded: ignored.\n"
    assert parse_smi(preload + output) == parse_smi(output)


def test_gpus_in_mig_mode() -> None:
    line = "580.95.05, NVIDIA A100-SXM4-80GB, 81920, 8.0, {}\n"
    output = line.format("Enabled") + line.format("Disabled") + line.format("[N/A]")
    assert parse_smi(output)[3] == 1


def test_nvidia_smi_is_asked_where_the_rest_is_silent(tmp_path: Path) -> None:
    script(
        tmp_path / "bin/nvidia-smi",
        'case "$1" in *compute_cap*) echo \'Field "compute_cap" is not a valid field to query.\'; exit 2;; esac',
        "echo '440.33.01, Tesla K80, 11441'",
    )
    driver = find_driver({"PATH": f"{tmp_path}/bin"}, tmp_path)
    assert (driver.version, driver.gpus) == ("440.33.01", (Gpu("Tesla K80", None, 11441),))
    assert driver.found_by == ("nvidia-smi",)


def test_nvidia_smis_failure_is_kept(tmp_path: Path) -> None:
    complaint = "Failed to initialize NVML: Driver/library version mismatch"
    script(tmp_path / "usr/bin/nvidia-smi", f"echo '{complaint}'", "exit 18")
    write(tmp_path / "proc/driver/nvidia/version", OPEN_MODULE)
    driver = find_driver(NOTHING, tmp_path)
    assert (driver.version, driver.problem) == ("580.95.05", complaint)


LIBCUDA = """
#include <string.h>
#include <stdlib.h>
int cuInit(unsigned flags) { return INIT; }
int cuDriverGetVersion(int* version) { *version = 12020; return 0; }
int cuDeviceGetCount(int* count) { *count = getenv("CUDA_VISIBLE_DEVICES") ? 0 : 1; return 0; }
int cuDeviceGet(int* device, int index) { *device = index; return 0; }
int cuDeviceGetName(char* name, int length, int device) { strcpy(name, "Test GPU"); return 0; }
int cuDeviceGetAttribute(int* value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 6 : -1; return 0; }
int cuDeviceTotalMem_v2(size_t* bytes, int device) { *bytes = 24ul << 30; return 0; }
"""


def test_libcuda_is_asked_in_a_child(tmp_path: Path) -> None:
    compile_library(tmp_path / "lib/libcuda.so.1", LIBCUDA.replace("INIT", "0"))
    env = {"PATH": "", "LD_LIBRARY_PATH": str(tmp_path / "lib"), "CUDA_VISIBLE_DEVICES": ""}
    driver = find_driver(env, tmp_path)
    assert driver.cuda == "12.2"
    assert driver.gpus == (Gpu("Test GPU", (8, 6), 24576),)  # though the variable hides it
    assert driver.found_by == ("libcuda",)


@pytest.mark.parametrize(("init", "problem"), [("999", "cuInit failed with error 999"), ("100", None)])
def test_a_libcuda_that_fails(tmp_path: Path, init: str, problem: str | None) -> None:
    compile_library(tmp_path / "lib/libcuda.so.1", LIBCUDA.replace("INIT", init))
    env = {"PATH": "", "LD_LIBRARY_PATH": str(tmp_path / "lib")}
    driver = find_driver(env, tmp_path)
    assert (driver.cuda, driver.gpus, driver.problem) == ("12.2", (), problem)


@pytest.mark.parametrize("body", ["abort();", "while (1);", "_Exit(0);"])
def test_a_libcuda_that_crashes_or_hangs(tmp_path: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcnbuild.machine.driver._SECONDS", 0.5)
    source = LIBCUDA.replace("return INIT;", f"{body} return 0;")
    compile_library(tmp_path / "lib/libcuda.so.1", source)
    assert find_driver({"PATH": "", "LD_LIBRARY_PATH": str(tmp_path / "lib")}, tmp_path) == Driver()


@pytest.mark.parametrize("output", [None, "", "{}", "[]", '{"cuda": "x"}', '{"cuda": 1, "error": 0, "gpus": [1]}'])
def test_what_is_no_answer_of_the_child(output: str | None) -> None:
    assert parse_libcuda(output) is None
