"""Tests of two copies of one thing: a checkout beside an installed package, an archive for a clone, two builds."""

from __future__ import annotations

import pytest
from doctor.reading import findings

_TOP = 'Traceback (most recent call last):\n  File "{}", line 7, in <module>\n    {}\n'
_INNER = '  File "/home/u/net/mmcv/utils/ext_loader.py", line 13, in load_ext\n'
_GONE = f"{_INNER}ModuleNotFoundError: No module named 'mmcv._ext'\n"
_THERE = "u@h:~/net$ pip install mmcv\nSuccessfully installed mmcv-2.1.0\n"


@pytest.mark.parametrize(
    ("log", "fix"),
    [
        (f"{_THERE}u@h:~/net$ python -c 'import mmcv.ops'\n{_TOP.format('<string>', '')}{_GONE}", ["cd ..", "python -c 'import mmcv.ops'"]),
        (f"{_THERE}u@h:~/net$ python demo.py --gpu 0\n{_TOP.format('/home/u/net/demo.py', 'import mmcv')}{_GONE}", ["python -P demo.py --gpu 0"]),
        (
            f"{_THERE}u@h:~/net$ python tools/demo.py\n{_TOP.format('/home/u/net/tools/demo.py', 'sys.path.insert(0, R)')}{_GONE}",
            ["# Remove the call of sys.path in line 7 of /home/u/net/tools/demo.py. Then run the same command again"],
        ),
        (
            f"{_THERE}u@h:~$ export PYTHONPATH=/home/u/net\nu@h:~$ python run.py\n{_TOP.format('/home/u/run.py', 'import mmcv')}{_GONE}",
            ["unset PYTHONPATH", "python run.py"],
        ),
    ],
)  # fmt: skip
def test_a_checkout_that_hides_the_installed_package_is_left(log: str, fix: list[str]) -> None:
    found = findings(log)[0]
    assert found.id == "extension-not-built" and "sources in /home/u/net" in found.cause
    assert [line for line in fix if line in found.fix] == fix
    assert "# pip install --no-build-isolation -e /home/u/net" in found.fix


def test_an_operator_of_a_checkout_is_not_missing_in_the_wheel() -> None:
    said = "RuntimeError: operator torchvision::nms does not exist\n"
    at = '  File "/home/u/vision/torchvision/_meta_registrations.py", line 164, in <module>\n'
    there = "Requirement already satisfied: torchvision in /e/lib/python3.10/site-packages (0.19.0)\n"
    log = f"u@h:~/vision$ pip install torchvision\n{there}u@h:~/vision$ python -c 'import torchvision'\n"
    assert "cd .." in findings(f"{log}{_TOP.format('<string>', '')}{at}{said}")[0].fix
    wheel = at.replace("/home/u/vision", "/e/lib/python3.10/site-packages")
    assert findings(f"{log}{_TOP.format('<string>', '')}{wheel}{said}")[0].id == "torchvision-mismatch"


@pytest.mark.parametrize(
    ("place", "said", "clone"),
    [
        ("u@h:~/a-master/tiny-cuda-nn-master/bindings/torch$ python setup.py install", "ninja: error: '/home/u/a-master/tiny-cuda-nn-master/dependencies/fmt/src/format.cc', needed by 'x.o', missing and no known rule to make it", "git clone --recursive https://github.com/NVlabs/tiny-cuda-nn"),
        ("u@h:~/net-1.0.2$ pip install .", "/home/u/net-1.0.2/csrc/a.hpp:3:10: fatal error: cutlass/cutlass.h: No such file or directory", "# git clone --recursive URL_OF_NET"),
        ("u@h:~/net-main$ cmake -B build", "CMake Error at CMakeLists.txt:12 (add_subdirectory):\n  The source directory\n\n    /home/u/net-main/third_party/pybind11\n\n  does not contain a CMakeLists.txt file.", "# git clone --recursive URL_OF_NET"),
        ("u@h:~/nvdiffrast$ git submodule update --init\nfatal: not a git repository (or any of the parent directories): .git\nu@h:~/nvdiffrast$ pip install .", "src/a.cpp:4:10: fatal error: glm/glm.hpp: No such file or directory", "git clone --recursive https://github.com/NVlabs/nvdiffrast"),
        ("u@h:~/net$ pip install .", "/home/u/net/src/a.cpp:4:10: fatal error: glm/glm.hpp: No such file or directory", ""),
    ],
)  # fmt: skip
def test_an_archive_without_git_is_replaced_by_a_clone(place: str, said: str, clone: str) -> None:
    lines = findings(f"{place}\n{said}\nerror: command 'g++' failed with exit code 1\n")[0].fix
    assert not clone or clone in lines
    assert any(line.startswith("git submodule") for line in lines) == (not clone)


_LIST = "$ pip list\n{0}   1.2.0\n{1}   1.3.0\n"


@pytest.mark.parametrize(
    ("module", "said", "names"),
    [
        ("spconv", 'ImportError: generic_type: cannot initialize type "A": an object with that name is already defined', ("spconv", "spconv-cu111")),
        ("spconv", 'ImportError: generic_type: type "A" is already registered!', ("cumm", "cumm-cu117")),
        ("cudf", "ImportError: libcudart.so.11.0: cannot open shared object file: No such file or directory", ("cudf-cu11", "cudf-cu12")),
        ("lightgbm", "AttributeError: module 'lightgbm' has no attribute 'Dataset'", ("lightgbm", "lightgbm-gpu")),
    ],
)  # fmt: skip
def test_two_builds_of_one_package_are_told_from_the_list(module: str, said: str, names: tuple[str, str]) -> None:
    at = _TOP.format(f"/e/lib/python3.10/site-packages/{module}/__init__.py", "import x")
    found = findings(f"{_LIST.format(*names)}$ python run.py\n{at}{said}\n")[0]
    assert found.id == "package-twice" and f"pip uninstall -y {' '.join(names)}" in found.fix
    assert findings(f"$ python run.py\n{at}{said}\n")[0].id != "package-twice"


def test_both_pairs_of_a_package_and_what_it_is_built_on_go() -> None:
    listed = "$ pip list\ncumm   0.4.11\ncumm-cu111   0.4.11\nspconv   2.3.6\nspconv-cu111   2.1.25\n"
    at = _TOP.format("/e/lib/python3.7/site-packages/spconv/__init__.py", "import spconv.core_cc")
    fix = findings(f'{listed}$ python run.py\n{at}ImportError: generic_type: type "A" is already registered!\n')[0].fix
    assert "pip uninstall -y cumm cumm-cu111 spconv spconv-cu111" in fix and "pip install spconv-cu111==2.1.25" in fix


def test_the_program_is_what_was_typed_or_what_the_traceback_begins_in() -> None:
    frames = _TOP.format("/w/main.py", "import net") + '  File "/w/net/dcn.py", line 3, in <module>\n    import DCN\n'
    said = "ModuleNotFoundError: No module named 'DCN'\n"
    assert "# python -m dcnbuild.compat /w/main.py" in findings(frames + said)[0].fix
    assert "# python -m dcnbuild.compat main.py --test" in findings(f"$ python main.py --test\n{frames}{said}")[0].fix
