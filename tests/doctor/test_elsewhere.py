"""Tests facts of other machines: another GPU, another machine's report; and reports that can be posted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from doctor.machines import broken
from hypothesis import given
from hypothesis import strategies as st

import dcnbuild
from dcnbuild.doctor import report
from dcnbuild.doctor.checks import examine
from dcnbuild.doctor.examples import EXAMPLES, HEALTHY
from dcnbuild.doctor.resolver import resolve
from dcnbuild.doctor.share import shareable
from dcnbuild.machine.elsewhere import find_gpu, with_gpu
from dcnbuild.machine.facts import Driver, Facts
from dcnbuild.machine.facts_json import facts_from_json

assert dcnbuild.__file__ is not None
GPUS = yaml.safe_load((Path(dcnbuild.__file__).parent / "machine/gpus.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "capability"),
    [
        ("RTX 5090", (12, 0)),
        ("rtx5090", (12, 0)),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", (8, 9)),
        ("4090", (8, 9)),
        ("1080 Ti", (6, 1)),
        ("A100-SXM4-80GB", (8, 0)),
        ("Tesla V100-SXM2-16GB", (7, 0)),
        ("NVIDIA H100 80GB", (9, 0)),
        ("Tesla T4", (7, 5)),
        ("12.0", (12, 0)),
        ("sm_90a", (9, 0)),
        ("86", (8, 6)),
        ("compute_100", (10, 0)),
    ],
)
def test_gpus_by_the_names_that_people_use(text: str, capability: tuple[int, int]) -> None:
    assert find_gpu(text).capability == capability


def test_every_row_of_the_table_is_found_and_none_is_there_twice() -> None:
    names = [name for row in GPUS.values() for name in row]
    assert len(names) == len(set(names))
    for number, row in GPUS.items():
        for name in row:
            assert "{}.{}".format(*(find_gpu(name).capability or ())) == number, name


@pytest.mark.parametrize("text", ["", "RTX 5O90", "Radeon", "9", "1234567", "RTX"])
def test_gpus_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="not in the table of GPUs"):
        find_gpu(text)


@pytest.mark.parametrize("text", ["", "abc", "57", "570.1.2.3", "-570", "570;id", "٥٧٠"])
def test_drivers_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="no driver version"):
        with_gpu(HEALTHY, None, text)


def test_the_line_for_a_gpu_and_a_driver_that_are_not_here() -> None:
    """A Docker build, a login node, a machine that is to be bought."""
    nothing = broken(driver=Driver(devices=0), torch=None, toolkits=())
    assert str(resolve(nothing).line).endswith("/cpu")
    assert str(resolve(with_gpu(nothing, "RTX 5090", "570")).line).endswith("torch==2.11.0 --index-url "
                                                                           "https://download.pytorch.org/whl/cu128")  # fmt: skip
    assert str(resolve(with_gpu(nothing, "GTX 1080 Ti", None)).line).endswith("/cu126")
    assert str(resolve(with_gpu(nothing, None, "470.82.01")).line).endswith("/cu118")
    other = with_gpu(HEALTHY, "V100", None)  # the driver here says nothing of a GPU that is elsewhere
    assert other.driver.version is None
    assert next(item.id for item in examine(other) if item.severity == "error") == "gpu-not-in-torch"


@pytest.mark.parametrize("id", sorted(EXAMPLES))
def test_a_report_is_read_back(id: str) -> None:
    text = report.to_json(EXAMPLES[id], [], None)
    assert facts_from_json(text, "report.json") == EXAMPLES[id]
    alone = json.dumps({**json.loads(text)["facts"], "field_of_a_newer_version": 1})
    assert facts_from_json(alone, "facts.json") == EXAMPLES[id]


FACTS: dict[str, Any] = json.loads(report.to_json(HEALTHY, [], None))["facts"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"python": None}, "facts.python is 'None', expected an object"),
        ({"python": {"version": "3.11"}}, "facts.python is not complete"),
        ({"torch": {**FACTS["torch"], "cuda": 13.0}}, "facts.torch.cuda is '13.0', expected a str"),
        (
            {"driver": {"gpus": [{"name": "x", "capability": [9]}]}},
            "facts.driver.gpus[0].capability",
        ),
        ({"driver": {"gpus": {}}}, "facts.driver.gpus is '{}', expected a list"),
        ({"machine": {"cores": True}}, "facts.machine.cores is 'True', expected a int"),
        (
            {"torch": {**FACTS["torch"], "architectures": ["sm_90;id"]}},
            "facts.torch.architectures is 'sm_90;id'",
        ),
        (
            {"torch": {**FACTS["torch"], "cuda": "13.0; id"}},
            "facts.torch.cuda is '13.0; id', expected a version",
        ),
        ({"variables": []}, "facts.variables is '[]', expected an object"),
        ({"toolkits": "x" * 9999}, "expected a list"),
    ],
)
def test_what_cannot_be_facts_is_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        facts_from_json(json.dumps({**FACTS, **change}), "f.json")
    assert said in str(caught.value) and str(caught.value).startswith("f.json: ")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1", '"x"', "[" * 100_000, '{"facts": 1}', "NaN"])
def test_what_is_no_report(text: str) -> None:
    with pytest.raises(ValueError, match=r"^f.json: no "):
        facts_from_json(text, "f.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FACTS, "x"]), inner, max_size=3),
)


@given(st.sampled_from(sorted(FACTS)), JSON)
def test_whatever_a_file_holds_is_judged_or_refused(name: str, value: Any) -> None:
    try:
        facts = facts_from_json(json.dumps({**FACTS, name: value}), "f.json")
    except ValueError:
        return
    assert isinstance(facts, Facts)


ENV = {"HOME": "/home/ada", "USER": "ada", "LOGNAME": "ada"}


@pytest.mark.parametrize(
    ("text", "shared"),
    [
        ("/home/ada/venv/bin/python", "~/venv/bin/python"),
        ("/home/ada", "~"),
        ("/home/adamant/x", "/home/<user>/x"),
        ("/data/ada/x and ada's", "/data/<user>/x and <user>'s"),
        ("canada is no user", "canada is no user"),
        ("on deepthought.example.org and deepthought", "on <host> and <host>"),
        ("https://ada:hunter2@host/simple", "https://…@host/simple"),
        ("--index-url https://tok3n@host/", "--index-url https://…@host/"),
        ("PIP_INDEX_TOKEN=abc123 x", "PIP_INDEX_TOKEN=… x"),
        ('"api_key": "abc123",', '"api_key": "…",'),
        ("password: hunter2", "password: …"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer …"),
        ("hf_abcdefghijklmnop ghp_abcdefghijklmnop", "… …"),
        ("AKIAABCDEFGHIJKLMNOP", "…"),
        ("ada.l@example.org", "<mail>"),
        ("from 192.168.0.17:8080", "from <address>:8080"),
        ("driver 535.104.05, torch 2.5.1+cu121", "driver 535.104.05, torch 2.5.1+cu121"),
        (r"C:\Users\ada\x", r"C:\Users\<user>\x"),
        ("nvcc 13.0 in /usr/local/cuda-13.0", "nvcc 13.0 in /usr/local/cuda-13.0"),
    ],
)
def test_what_is_left_out_of_a_report_that_is_posted(text: str, shared: str) -> None:
    assert shareable(text, ENV, "deepthought.example.org") == shared


@pytest.mark.parametrize("name", ["root", "", "ab", "torch"])
def test_names_that_are_nobodys_stay(name: str) -> None:
    text = "root ab torch /root/x"
    assert shareable(text, {"USER": name, "HOME": "/"}, "localhost") == text


def test_a_whole_report_is_still_json_and_still_facts() -> None:
    facts = replace(HEALTHY, variables={**HEALTHY.variables, "PIP_INDEX_URL": "https://ada:pw@host/simple"})
    text = shareable(report.to_json(facts, examine(facts), None), ENV, "deepthought")
    assert "ada" not in text and "pw@" not in text
    assert facts_from_json(text, "shared.json").python.version == HEALTHY.python.version
