"""`python setup.py develop` and `install` under today's setuptools: what people see, and what to type instead."""

from __future__ import annotations

import pytest
from doctor.reading import findings

_CALLED = "subprocess.CalledProcessError: Command '['/e/bin/python', '-m', 'pip', 'install', '-e', '.', '--use-pep517']' returned non-zero exit status 1."
_ISOLATED = f"running develop\n      ModuleNotFoundError: No module named 'torch'\n{_CALLED}"
_PIP = "pip install --no-build-isolation -e ."


@pytest.mark.parametrize(
    ("log", "kind", "line"),
    [
        # develop calls pip, with build isolation: the same again would fail again
        (f"$ python setup.py develop\n{_ISOLATED}", "build-isolation", _PIP),
        (
            f"#12 [5/7] RUN cd ops && python setup.py develop\n#12 3.1 {_ISOLATED}".replace("\n ", "\n#12 3.1 "),
            "build-isolation",
            "RUN cd ops && pip install --no-build-isolation -e .",
        ),
        (
            f"$ python setup.py develop\n/e/bin/python: No module named pip\n{_CALLED}",
            "pip-missing",
            f"python -m {_PIP}",
        ),
        (
            "$ python setup.py develop --uninstall\nerror: option --uninstall not recognized",
            "setup-py-install",
            "sh -c 'pip uninstall -y \"$(python setup.py --name)\"'",
        ),
        ("$ python setup.py develop\nerror: invalid command 'develop'", "python-api-changed", _PIP),
        (
            "$ python setup.py develop --prefix=/opt/x\nerror: bad install directory or PYTHONPATH",
            "setup-py-install",
            _PIP,
        ),
        (
            "$ python setup.py install\nerror: Could not find suitable distribution for Requirement.parse('numpy>=1.20')",
            "setup-py-install",
            "pip install --no-build-isolation .",
        ),
        (
            "$ python setup.py develop\nerror: could not create '/usr/lib/python3/dist-packages/x': Permission denied",
            "permission-denied",
            _PIP,
        ),
        (
            "$ pip install --no-use-pep517 -e ./ops\nno such option: --no-use-pep517",
            "pip-option-removed",
            "pip install --no-build-isolation -e ./ops",
        ),
        (
            '$ pip install -v --global-option="--cpp_ext" --global-option="--cuda_ext" ./\nno such option: --global-option',
            "pip-option-removed",
            "pip install -v --no-build-isolation --no-cache-dir .",
        ),
        (
            '$ pip install -e .\nERROR: File "setup.py" or "setup.cfg" not found. Directory cannot be installed in editable mode: /home/u/p',
            "pip-too-old",
            "python -m pip install --upgrade pip setuptools",
        ),
    ],
)  # fmt: skip
def test_what_is_typed_instead(log: str, kind: str, line: str) -> None:
    found = findings(log)[0]
    assert found.id == kind and line in found.fix, found
    assert not any("setup.py develop" in other for other in found.fix), found.fix


def test_the_requirement_of_a_script_that_runs_is_another_matter() -> None:
    log = "  File \"/e/bin/tool\", line 4\npkg_resources.DistributionNotFound: The 'x' distribution was not found and is required by y"
    assert not any(found.id == "setup-py-install" for found in findings(log))
