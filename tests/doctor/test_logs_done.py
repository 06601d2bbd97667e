"""Tests that a fix knows what the log shows to be done, where it is done, and with what it is done again."""

from __future__ import annotations

import pytest
from doctor.reading import findings, told

_NINJA = "RuntimeError: Ninja is required to load C++ extensions"
_NO_GPU = "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU"
_CERTIFICATE = "SSL certificate problem: self-signed certificate in certificate chain"


def test_what_was_done_in_vain_is_not_advised_again() -> None:
    failed = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n    a==1 from https://h/a.whl"
    once = f"$ pip install --require-hashes -r lock.txt\n{failed}\n"
    assert "pip cache purge" in told(once)[1]
    twice = f"{once}$ pip cache purge && pip install --require-hashes -r lock.txt\nFiles removed: 9\n{failed}\n"
    assert told(twice)[1] == ["pip install --require-hashes -r lock.txt"]


def test_what_is_shown_is_not_asked_for() -> None:
    said = "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.8, please update your driver"
    log = f"$ docker compose up -d\n{said}\n"
    assert "nvidia-smi" in findings(log)[0].fix
    shown = (
        f"{log}$ nvidia-smi | head -3\n| NVIDIA-SMI 535.247.01   Driver Version: 535.247.01   CUDA Version: 12.2 |\n"
    )
    assert "nvidia-smi" not in findings(shown)[0].fix
    assert "535.247.01" in findings(shown)[0].cause and "12.2" in findings(shown)[0].cause


@pytest.mark.parametrize(
    ("before", "after", "fix"),
    [
        (
            "$ python train.py",
            "$ which ninja\n/e/bin/ninja",
            ['export PATH=/e/bin:"$PATH"', "ninja --version", "python train.py"],
        ),
        (
            "$ systemctl cat pre.service\n[Service]\nExecStart=/e/bin/torchrun a.py",
            "$ /e/bin/pip install ninja\nRequirement already satisfied: ninja in /e/lib/python3.12/site-packages (1.11)",
            [
                "Environment=PATH=/e/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
                "sudo systemctl daemon-reload",
                "sudo systemctl restart pre",
            ],
        ),
        (
            "$ systemctl --user status pre",
            "$ ls /e/bin/ninja\n/e/bin/ninja",
            [
                "Environment=PATH=/e/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
                "systemctl --user daemon-reload",
                "systemctl --user restart pre",
            ],
        ),
        ("$ crontab -l", "$ ls /e/bin/ninja\n/e/bin/ninja", ["PATH=/e/bin:/usr/local/bin:/usr/bin:/bin"]),
    ],
)
def test_a_tool_that_is_there_takes_the_path_of_the_process(before: str, after: str, fix: list[str]) -> None:
    log = f"{before}\n{_NINJA}\n{after}"
    assert told(log) == ("ninja-missing", fix)
    assert "/e/bin" in findings(log)[0].title
    assert told(f"{before}\n{_NINJA}")[1][0] != fix[0]


def test_a_tool_that_ls_does_not_find_is_not_there() -> None:
    log = f"$ python a.py\n{_NINJA}\n$ ls /e/bin/ninja\nls: cannot access '/e/bin/ninja': No such file or directory"
    assert told(log)[1][0] == "pip install ninja"


def test_sudo_has_another_environment() -> None:
    log = "$ which nvcc\n/c/bin/nvcc\n$ sudo make install\nmake: nvcc: No such file or directory"
    assert told(log) == ("sudo-environment", ["make install"])
    assert any("sudo env" in line and line.endswith("make install") for line in findings(log)[0].fix)
    assert told("$ sudo make install\nmake: nvcc: No such file or directory")[0] == "nvcc-not-found"


@pytest.mark.parametrize(
    ("log", "fix"),
    [
        (
            "$ poetry install\nCreating virtualenv a-py3.13 in /c\nUnable to find installation candidates for torch (2.4.1)",
            ["poetry env use 3.12", "poetry install"],
        ),
        (
            "$ uv sync\nerror: Distribution `torch==2.4.0 @ registry+u` can't be installed because it doesn't have a source"
            " distribution or wheel for the current platform\nhint: You're using CPython 3.13 (`cp313`)",
            ["uv python pin 3.12", "uv sync"],
        ),
    ],
)
def test_a_python_without_wheels_is_exchanged_where_the_tool_has_it(log: str, fix: list[str]) -> None:
    assert told(log) == ("torch-version-unavailable", fix)
    assert any("keep this Python, and use torch 2.6.0" in line for line in findings(log)[0].fix)


@pytest.mark.parametrize("name", ["torch==2.5.1", "torchaudio==2.5.1"])
def test_an_intel_mac_gets_the_last_release_for_it(name: str) -> None:
    said = f"satisfies the requirement {name} (from versions: 2.2.0, 2.2.1, 2.2.2)"
    log = f"$ pip install -r req.txt\nERROR: Could not find a version that {said}"
    assert told(log)[0] == "torch-version-unavailable"
    assert told(log)[1][-1] == "pip install 'numpy<2' -r req.txt" and "torch==2.2.2" in told(log)[1][0]
    assert "Intel" in findings(log)[0].title
    other = log.replace("2.2.0, 2.2.1, 2.2.2", "2.2.0, 2.6.0")
    assert "Intel" not in findings(other)[0].title
    silicon = "error: Distribution `torch==2.5.1 @ u` can't be installed because it doesn't have a source distribution or wheel"
    silicon += (
        " for the current platform\nhint: You're on macOS (`macosx_14_0_arm64`), but torch only has `linux_x86_64`"
    )
    assert "Intel" not in findings(silicon)[0].title


def test_the_fix_goes_into_the_file_of_the_project() -> None:
    isolated = 'File "/c/builds-v0/.tmpQ/lib/python3.11/site-packages/setuptools/build_meta.py", line 1, in run'
    log = f"$ uv add clip\n{isolated}\nModuleNotFoundError: No module named 'pkg_resources'"
    line = 'build-constraint-dependencies = ["setuptools<81"]'
    head = "grep -qxF '[tool.uv]' pyproject.toml || printf '\\n[%s]\\n' tool.uv >> pyproject.toml"
    assert told(log)[1] == [head, f"sed -i.old -e '/^.tool.uv.$/ a\\' -e '{line}' pyproject.toml", "uv add clip"]
    shown = f"$ cat pyproject.toml\n[tool.uv]\ndev = []\n{log}"
    assert told(shown)[1][0] == f"sed -i.old -e '/^.tool.uv.$/ a\\' -e '{line}' pyproject.toml"
    pixi = "$ pixi run train\nError: failed to solve the conda requirements of 'default'\n  __cuda *, for which none"
    assert told(pixi)[1] == ["pixi workspace system-requirements add cuda 12", "pixi run train"]


@pytest.mark.parametrize(
    ("system", "command", "said", "line"),
    [
        ("Red Hat", "mamba create -n a", _CERTIFICATE, "mamba config set ssl_verify /etc/pki/tls/certs/ca-bundle.crt"),
        ("Fedora", "conda create -n a", _CERTIFICATE, "conda config --set ssl_verify /etc/pki/tls/certs/ca-bundle.crt"),
        ("openSUSE", "curl -O u", f"curl: (60) {_CERTIFICATE}", "export CURL_CA_BUNDLE=/etc/ssl/ca-bundle.pem"),
        (
            "Ubuntu 22.04",
            "git clone https://g/a",
            "fatal: unable to access 'https://g/a/': server certificate verification failed. CAfile: none",
            "git config --global http.sslCAInfo /etc/ssl/certs/ca-certificates.crt",
        ),
        (
            "Gentoo",
            "npm ci",
            "npm error code SELF_SIGNED_CERT_IN_CHAIN",
            "export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt",
        ),
        (
            "Alpine: alpine",
            "uv pip install a",
            "invalid peer certificate: UnknownIssuer",
            "export UV_NATIVE_TLS=true",
        ),
    ],
)
def test_each_tool_is_told_of_the_certificates_of_its_system(system: str, command: str, said: str, line: str) -> None:
    kind, fix = told(f"{system}\n$ {command}\n{said}")
    assert (kind, fix[0], fix[-1]) == ("certificate", line, command)


@pytest.mark.parametrize(
    ("started", "said", "again"),
    [
        ("apptainer run -B /a t.sif python a.py", _NO_GPU, "apptainer run --nv -B /a t.sif python a.py"),
        ("singularity exec t.sif python a.py", _NO_GPU, "singularity exec --nv t.sif python a.py"),
        ("docker run --rm img python a.py", _NO_GPU, "docker run --gpus all --rm img python a.py"),
        ("podman run --rm img python a.py", _NO_GPU, "podman run --device nvidia.com/gpu=all --rm img python a.py"),
        ("apptainer exec t.sif a", "RuntimeError: No HIP GPUs are available", "apptainer exec --rocm t.sif a"),
        (
            "docker run --rm rocm/pytorch a",
            "RuntimeError: No HIP GPUs are available",
            "docker run --device=/dev/kfd --device=/dev/dri --group-add video --rm rocm/pytorch a",
        ),
    ],
)
def test_a_container_without_gpus_is_started_with_them(started: str, said: str, again: str) -> None:
    log = f"ada@lab:~$ {started}\n{said}"
    assert told(log)[1] == [again]
    assert findings(log)[0].title == "The container was started without its GPUs"
    assert findings(f"ada@lab:~$ {again}\n{said}")[0].title != "The container was started without its GPUs"


@pytest.mark.parametrize(
    ("job", "line"),
    [
        ("Running with gitlab-runner 17\nSkipping Git submodules setup", "#   GIT_SUBMODULE_STRATEGY: recursive"),
        ("##[group]Run actions/checkout@v4", "#       submodules: recursive"),
    ],
)
def test_a_job_is_told_to_check_out_submodules(job: str, line: str) -> None:
    built = "nvcc -I/builds/a/b/third_party/cutlass/include -c a.cu"
    log = f"{job}\n{built}\na.cu:3:10: fatal error: cutlass/cutlass.h: No such file or directory"
    found = findings(log)[0]
    assert (found.id, line in found.fix) == ("header-missing", True)
    assert "submodule third_party/cutlass" in found.cause
    assert "git submodule update --init --recursive" in found.fix


@pytest.mark.parametrize(
    ("log", "told", "untold"),
    [
        ("$ torchrun a.py\nbind to [::]:29500 (errno: 98 - Address already in use)", "distributed run", "publish"),
        ("$ uvicorn a:b\n[Errno 98] bind on address ('0.0.0.0', 8000): address already in use", "8000", "distributed"),
        (
            "$ docker compose up -d\nfailed to bind host port for 0.0.0.0:5432:172.21.0.3:5432/tcp: address already in use",
            "publish port 5432",
            "distributed",
        ),
    ],
)
def test_a_port_is_told_of_where_it_is_of(log: str, told: str, untold: str) -> None:
    found = findings(log)[0]
    assert found.id == "port-in-use" and told in found.cause and untold not in found.cause
    assert ("MASTER_PORT" in "".join(found.fix)) == ("master_port" in "".join(found.fix) and "torchrun" not in log)


def test_a_stale_build_directory_is_made_anew_by_what_made_it() -> None:
    said = (
        "CMake Error: The current CMakeCache.txt directory /n/build{0}/CMakeCache.txt is different than the directory"
    )
    said += " /o/build{0} where CMakeCache.txt was created."
    of_setup = f"$ pip install -v -e .\n  Building editable for n\n  {said.format('/temp.linux-x86_64')}"
    assert told(of_setup)[1] == ["rm -rf build", "pip install -v -e ."]
    inside = f"$ cmake .. -DGGML_CUDA=ON\n{said.format('')}"
    assert told(inside)[1] == ["rm CMakeCache.txt", "rm -rf CMakeFiles", "cmake .. -DGGML_CUDA=ON"]
    plain = f"$ cmake -B build -DA=1\n{said.format('')}"
    assert told(plain)[1] == ["rm -rf build", "cmake -B build -DA=1"]


def test_hashes_are_made_anew_of_the_index_that_the_install_uses() -> None:
    got = "d" * 64
    log = "$ pip install --index-url https://h/cu124 -r requirements.txt\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES"
    log += (
        f" FROM THE REQUIREMENTS FILE.\n  a==1 from https://h/a.whl#sha256={got} (from -r requirements.txt (line 6)):\n"
    )
    kind, fix = told(f"{log}    Expected sha256 {'e' * 64}\n         Got        {got}\n")
    assert kind == "damaged-download"
    made = "pip-compile --generate-hashes --index-url=https://h/cu124 --output-file=requirements.txt requirements.in"
    assert fix == [made, "pip install --index-url https://h/cu124 -r requirements.txt"]
    damaged = f"{log}    Expected sha256 {got}\n         Got        {'f' * 64}\n"
    assert "pip cache purge" in told(damaged)[1]


@pytest.mark.parametrize(
    ("command", "last"),
    [
        ("yolo predict a=b", "yolo predict a=b"),
        ("tail -3 a.log", "sudo zypper install Mesa-libGL1"),
        ("python a.py | tail -3", "python a.py"),
        ("python $(ls)", "sudo zypper install Mesa-libGL1"),
    ],
)
def test_the_program_that_failed_is_run_again(command: str, last: str) -> None:
    log = f"openSUSE\n$ {command}\nImportError: libGL.so.1: cannot open shared object file: No such file or directory"
    assert told(log)[1][-1] == last


def test_a_package_of_another_distribution_is_named_as_here() -> None:
    assert told("$ sudo dnf install libgl1\nNo match for argument: libgl1")[1][0] == "sudo dnf install mesa-libGL"
    gone = "E: Package 'libgl1-mesa-glx' has no installation candidate"
    assert told(gone)[1][0] == "sudo apt-get install libgl1"


def test_the_kernel_of_a_notebook_is_restarted_after_an_exchange() -> None:
    log = "In [3]: import torchvision\nRuntimeError: operator torchvision::nms does not exist\n!pip list\ntorch  2.6.0+cu124"
    assert "restart the kernel" in findings(log)[0].fix[-1]
