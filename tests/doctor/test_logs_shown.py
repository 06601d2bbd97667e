"""Tests that a finding goes by what the log itself shows: options, compilers, services, and where it ran."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from doctor.reading import findings, told

_NVCC = "Processing /w/net\n  running build_ext\n/usr/local/cuda-12.1/bin/nvcc -I/w/net/include -c a.cu -o a.o {} -std=c++17\n{}\nerror: subprocess-exited-with-error\n"
_SINGLE = "nvcc fatal   : A single input file is required for a non-link phase when an outputfile is specified"


@pytest.mark.parametrize(
    ("given", "said", "before", "after"),
    [
        ("/w", _SINGLE, "['-O2', '/w']", "['-O2', '-w']"),
        ("/w", _SINGLE, '["/w"]', '["-w"]'),
        ("/O2 /std:c++17", _SINGLE, "['/O2', '/std:c++17']", "['-O2', '-std=c++17']"),
        ("/MD /O2", "nvcc fatal   : Don't know what to do with '/MD'", "['/MD', '/O2']", "['-O2']"),
        ("/EHsc", "nvcc fatal   : Don't know what to do with '/EHsc'", "['/EHsc', '/wd4819', '-DA']", "['-DA']"),
    ],
)
def test_an_option_of_visual_c_is_written_as_that_of_gcc(
    given: str, said: str, before: str, after: str, tmp_path: Path
) -> None:
    found, typed = told(f"$ pip install /w/net\n{_NVCC.format(given, said)}")
    assert found == "compiler-option" and typed[-1] == "pip install /w/net"
    assert typed[0].endswith(" /w/net/setup.py")
    setup = tmp_path / "setup.py"
    setup.write_text(f"args = {before}\n")
    subprocess.run([*shlex.split(typed[0])[:-1], str(setup)], check=True)
    assert setup.read_text().replace("[ ", "[") == f"args = {after}\n"


def test_options_of_gcc_are_left_out_for_cl(tmp_path: Path) -> None:
    log = (
        "C:\\w>pip install .\nProcessing /w/ops\n  running build_ext\n"
        "cl : Command line error D8021 : invalid numeric argument '/Wno-unused'\nERROR: Failed building wheel for ops\n"
    )
    found, typed = told(log)
    assert found == "compiler-option" and typed[-1] == "pip install ."
    setup = tmp_path / "setup.py"
    setup.write_text("args = ['-O2', '-Wno-unused', \"-fopenmp\", '-DA']\n")
    code = typed[0].removeprefix('python -c "').removesuffix('"').replace("/w/ops", str(tmp_path))
    subprocess.run([sys.executable, "-c", code], check=True)
    assert setup.read_text() == "args = ['-O2', '-DA']\n"


def test_paths_are_no_options_of_visual_c() -> None:
    assert told(f"$ pip install /w/net\n{_NVCC.format('-I/w -I /opt/O2', _SINGLE)}")[0] == "nvcc-arguments"
    windows = _NVCC.format("/w", _SINGLE).replace("/usr/local/cuda-12.1/bin/nvcc", r"C:\CUDA\v12.1\bin\nvcc.exe")
    assert findings(windows)[0].id != "compiler-option"


@pytest.mark.parametrize(
    ("name", "shown", "has"),
    [
        ("x86_64-conda_cos6-linux-gnu-c++", "$ which g++\n/usr/bin/g++", ["export CC=gcc", "export CXX=/usr/bin/g++"]),
        ("x86_64-conda-linux-gnu-c++", "", ["conda install -c conda-forge gxx_linux-64"]),
        (
            "g++-9",
            "$ ls /usr/bin/g*-13\n/usr/bin/gcc-13\n/usr/bin/g++-13",
            ["export CC=/usr/bin/gcc-13", "export CXX=/usr/bin/g++-13"],
        ),
        ("g++-9", "", ["sudo apt-get install g++-9"]),
    ],
)
def test_the_compiler_that_a_variable_names_is_not_there(name: str, shown: str, has: list[str]) -> None:
    said = f"subprocess.CalledProcessError: Command '['which', '{name}']' returned non-zero exit status 1."
    log = f"$ pip install ./ops\nProcessing ./ops\n  running build_ext\n{said}\nERROR: Failed building wheel for ops\n{shown}\n"
    found, typed = told(log)
    assert found in ("conda-compiler", "compiler-missing")
    assert [line for line in typed if line in has] == has and typed[-1] == "pip install ./ops"


_NOT_SIGNED = "W: GPG error: https://developer.download.nvidia.com/compute/cuda/repos/{}  InRelease: NO_PUBKEY A4B469963BF863CC\nE: The repository is not signed."


@pytest.mark.parametrize(
    ("log", "fix"),
    [
        (
            f"ada@lab:~$ sudo apt-get update\n{_NOT_SIGNED.format('ubuntu2204/x86_64')}",
            [
                "wget https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2204/x86_64/cuda-keyring_1.1-1_all.deb",
                "sudo dpkg -i cuda-keyring_1.1-1_all.deb",
                "sudo apt-get update",
            ],
        ),
        (
            f"ada@lab:~$ sudo apt-get update\n{_NOT_SIGNED.format('ubuntu1804/x86_64')}",
            [
                "wget https://developer.download.nvidia.com/compute/cuda/repos/ubuntu1804/x86_64/cuda-keyring_1.0-1_all.deb",
                "sudo dpkg -i cuda-keyring_1.0-1_all.deb",
                "sudo apt-get update",
            ],
        ),
        (
            f"#5 [2/8] RUN apt-get update && apt-get install -y libnccl2\n#5 0.9 {_NOT_SIGNED.format('ubuntu1804/x86_64')}",
            [
                "RUN apt-key del 7fa2af80",
                "RUN apt-key adv --fetch-keys https://developer.download.nvidia.com/compute/cuda/repos/ubuntu1804/x86_64/3bf863cc.pub",
            ],
        ),
        (
            "ada@lab:~$ sudo apt-get update\nW: GPG error: http://packages.ros.org/ros/ubuntu focal InRelease: NO_PUBKEY F42ED6FBAB17C654\nE: The repository is not signed.",
            [
                "sudo apt-key adv --keyserver hkp://keyserver.ubuntu.com:80 --recv-keys F42ED6FBAB17C654",
                "sudo apt-get update",
            ],
        ),
    ],
)
def test_the_key_of_a_repository_is_fetched(log: str, fix: list[str]) -> None:
    found, typed = told(log)
    assert found == "apt-key"
    assert [line for line in typed if "rm -f" not in line] == fix
    # a list that names the old key would contradict the new one
    assert ("wget" in " ".join(fix)) == any("rm -f /etc/apt/sources.list.d/cuda*.list" in line for line in typed)


@pytest.mark.parametrize(
    ("shown", "fix"),
    [
        (
            "root@h:~# nvidia-smi\n| NVIDIA-SMI 550.54.15   Driver Version: 550.54.15   CUDA Version: 12.4 |\n"
            "root@h:~# systemctl status nvidia-fabricmanager\nUnit nvidia-fabricmanager.service could not be found.",
            [
                "apt-get update",
                "apt-get install -y 'nvidia-fabricmanager-550=550.54.15*'",
                "systemctl enable --now nvidia-fabricmanager",
            ],
        ),
        (
            "nv-fabricmanager[9]: fabric manager NVIDIA GPU driver interface version 550.90.07 don't match with driver "
            "version 550.127.05.",
            [
                "apt-get update",
                "apt-get install -y 'nvidia-fabricmanager-550=550.127.05*'",
                "systemctl restart nvidia-fabricmanager",
            ],
        ),
        ("", ["systemctl enable --now nvidia-fabricmanager", "systemctl status nvidia-fabricmanager"]),
    ],
)
def test_a_service_that_is_not_there_is_installed_first(shown: str, fix: list[str]) -> None:
    log = f"root@h:~# python a.py\nRuntimeError: Error 802: system not yet initialized\n{shown}"
    assert told(log)[1][: len(fix)] == fix


def test_docker_that_is_not_there_is_installed_first() -> None:
    said = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    there = f"ada@lab:~$ docker ps\n{said}\nada@lab:~$ sudo systemctl start docker\nFailed to start docker.service: Unit docker.service not found.\n"
    assert told(there)[1][0] == "sudo apt-get update && sudo apt-get install -y docker.io"
    assert told(f"ada@lab:~$ docker ps\n{said}\n")[1][0] == "sudo systemctl start docker"


_RC = "LINK : fatal error LNK1158: cannot run 'rc.exe'"


def test_the_sdk_is_installed_where_the_prompt_is_set_up() -> None:
    prompt = "C:\\w>vcvars64.bat\n[vcvarsall.bat] Environment initialized for: 'x64'\n"
    assert "winget install -e --id Microsoft.WindowsSDK.10.0.22621" in told(f"{prompt}C:\\w>pip install .\n{_RC}")[1]
    typed = told(f"C:\\w>pip install .\n{_RC}")[1]
    assert not any("winget" in line for line in typed) and any("vcvarsall.bat" in line for line in typed)
    kit = r"C:\Program Files (x86)\Windows Kits\10\bin\10.0.22621.0\x64"
    shown = f'{prompt}C:\\w>pip install .\n{_RC}\nC:\\w>where /R "C:\\Program Files (x86)" rc.exe\n{kit}\\rc.exe\n'
    assert told(shown)[1][0] == f'set "PATH={kit};%PATH%"'


_PTX = "ptxas /tmp/tmpxft_1.ptx, line 9; fatal   : Unsupported .version 8.3; current version is '7.7'"


def test_one_toolkit_compiles_and_nothing_is_said_of_triton() -> None:
    ran = "$ CUDA_HOME=$CONDA_PREFIX python demo.py\nUsing /h/.cache/torch_extensions/py38_cu117 as PyTorch extensions root...\n"
    build = f"[1/2] /e/envs/h/bin/nvcc -DTORCH_EXTENSION_NAME=p -c a.cu -o a.cuda.o\n{_PTX}\n"
    which = "$ which -a nvcc ptxas\n/e/envs/h/bin/nvcc\n/usr/local/cuda-11.7/bin/nvcc\n/usr/local/cuda-11.7/bin/ptxas\n"
    typed = told(f"{which}{ran}{build}")[1]
    assert typed[-3:] == [
        "export CUDA_HOME=/usr/local/cuda-11.7",
        'export PATH=/usr/local/cuda-11.7/bin:"$PATH"',
        "python demo.py",
    ]
    assert "conda install -c nvidia/label/cuda-11.7.0 cuda-nvcc" in told(f"{ran}{build}")[1]
    assert not any("TRITON" in line for line in typed)
    triton = f'File "/e/lib/python3.10/site-packages/triton/backends/nvidia/compiler.py", line 1\n{_PTX}'
    assert "unset TRITON_PTXAS_PATH" in told(triton)[1] and not any("CUDA_HOME" in line for line in told(triton)[1])


@pytest.mark.parametrize(
    ("library", "fix"),
    [
        ("/s/torch_extensions/f/f.so", 'export TORCH_EXTENSIONS_DIR="$HOME/.cache/torch_extensions"'),
        ("/s/.triton/cache/f.so", 'export TRITON_CACHE_DIR="$HOME/.cache/triton"'),
        ("/tmp/f/f.so", 'export TMPDIR="$(mktemp -d -p "$PWD")"'),
    ],
)
def test_only_the_directory_of_what_does_not_load_is_moved(library: str, fix: str) -> None:
    typed = told(f"$ python a.py\nImportError: {library}: failed to map segment from shared object")[1]
    assert [line for line in typed if line == fix] == [fix]
    assert sum(line.startswith("export ") and "INDUCTOR" not in line for line in typed) == 1


_OWNER = "fatal: detected dubious ownership in repository at '/workspace'"
_SCM = "LookupError: setuptools-scm was unable to detect version for /workspace.\nerror: metadata-generation-failed"


@pytest.mark.parametrize(
    ("started", "again"),
    [
        (
            'docker run --rm -v "$GITHUB_WORKSPACE:/w" img:1 bash -c "pip install -e ."',
            'docker run --rm -v "$GITHUB_WORKSPACE:/w" img:1 bash -c "git config --global --add safe.directory /workspace && pip install -e ."',
        ),
        (
            "docker run -w /w img:1 sh -lc 'make -j4'",
            "docker run -w /w img:1 sh -lc 'git config --global --add safe.directory /workspace && make -j4'",
        ),
    ],
)
def test_what_a_container_runs_begins_with_the_fix(started: str, again: str) -> None:
    ended = "\nError: Process completed with exit code 128."
    log = f"Run {started}\n{_SCM}\nRun docker run img:1 git describe --tags\n{_OWNER}{ended}"
    assert told(log) == ("git-owner", [again])
    assert [one.id for one in findings(log)] == ["git-owner"]
    assert told(f"ada@lab:~$ {started}\n{_OWNER}\n")[1][:1] == [again]
    other = told(f"Run docker run img:1 git describe\n{_OWNER}{ended}")[1]
    assert other == ["git config --global --add safe.directory /workspace"]


def test_a_command_of_a_container_that_a_shell_would_change_is_left() -> None:
    log = f'Run docker run img:1 bash -c "pip install $(cat x)"\n{_OWNER}\nError: Process completed with exit code 1.'
    assert not any("docker run" in line for line in findings(log)[0].fix)


def test_what_the_host_is_told_is_not_put_into_a_container() -> None:
    said = "docker: Error response from daemon: could not select device driver with capabilities: [[gpu]]"
    log = f"ada@lab:~$ docker run --gpus all img:1 bash -c 'nvidia-smi'\n{said}\n"
    assert not any(
        "bash -c" in line and ("docker run" in line[10:] or "apt-get" in line) for line in findings(log)[0].fix
    )


def test_a_version_that_git_does_not_tell_is_set() -> None:
    typed = told(f"$ pip install .\nProcessing /workspace\n{_SCM}")[1]
    assert typed[0] == "export SETUPTOOLS_SCM_PRETEND_VERSION=0.0.1" and not any(
        "setuptools<" in line for line in typed
    )


def test_an_image_without_python_gets_one() -> None:
    log = "#7 [3/5] RUN python3 -m pip install torch\n#7 0.2 /bin/sh: 1: python3: not found\n"
    assert told(log) == ("tool-missing", ["RUN apt-get update && apt-get install -y python3-pip"])


def test_a_prompt_that_is_set_up_is_not_set_up_again() -> None:
    prompt = "[vcvarsall.bat] Environment initialized for: 'x64'\n"
    said = "error: Microsoft Visual C++ 14.0 or greater is required. Get it with Build Tools\nERROR: Failed building wheel for a\n"
    assert told(f"{prompt}C:\\w>pip install .\n{said}")[1] == ["set DISTUTILS_USE_SDK=1", "pip install ."]
    vain = told(f"{prompt}C:\\w>set DISTUTILS_USE_SDK=1\nC:\\w>pip install .\n{said}")[1]
    assert vain[0].startswith("winget install Microsoft.VisualStudio")


_LACKS = (
    "Collecting acme-ops==0.7.1\n  Downloading acme_ops-0.7.1.tar.gz (24 kB)\n  Building wheel for acme-ops (setup.py): started\n"
    "ninja: error: '/tmp/pip-install-a/acme-ops_0c3d/cuda/a.cu', needed by 'a.o', missing and no known rule to make it\n"
)


def test_an_archive_without_a_file_is_not_replaced_by_a_wheel_that_is_not_there() -> None:
    assert told(f"$ pip install acme-ops==0.7.1\n{_LACKS}")[1] == ["pip install 'acme-ops!=0.7.1'"]
    image = f"#9 [2/3] RUN pip install -q acme-ops==0.7.1\n{_LACKS}"
    assert told(image)[1] == ["RUN pip install -q 'acme-ops!=0.7.1'"]
    assert "# In the Dockerfile, in place of step 2:" in findings(image)[0].fix


def test_a_fix_has_to_do_with_the_cause() -> None:
    quota = 'rsync: [receiver] write failed on "/home/kim/frames/1.png": Disk quota exceeded (122)'
    assert told(f"[kim@login data]$ rsync -a /s/ ~/frames/\n{quota}")[1] == ["du -xh -d 1 /home/kim"]
    build = "$ pip install x\nOSError: [Errno 28] No space left on device"
    assert "pip cache purge" in told(build)[1]
    login = 'Traceback (most recent call last):\n  File "/e/lib/python3.11/site-packages/psycopg2/__init__.py", line 122, in connect\npsycopg2.OperationalError: FATAL: password authentication failed'
    assert findings(login)[0].fix == ()
    other = login.replace(
        "psycopg2.OperationalError: FATAL: password authentication failed", "TypeError: f is no function"
    )
    assert any("index versions psycopg2" in line for line in findings(other)[0].fix)


def test_conflicts_of_several_files_are_marked_together() -> None:
    log = "$ git cherry-pick 12ab\nCONFLICT (content): Merge conflict in a.cu\nCONFLICT (content): Merge conflict in b.cu\n"
    assert told(log)[1][1:] == ["git add -u", "git cherry-pick --continue"]


@pytest.mark.parametrize(
    ("ran", "fix"),
    [
        (
            "git pull --rebase origin main",
            ["git diff --name-only --diff-filter=U", "git add src/a.cu", "git rebase --continue"],
        ),
        ("git merge topic", ["git diff --name-only --diff-filter=U", "git add src/a.cu", "git commit --no-edit"]),
    ],
)
def test_a_conflict_of_git_names_its_file(ran: str, fix: list[str]) -> None:
    log = f"$ {ran}\nAuto-merging src/a.cu\nCONFLICT (content): Merge conflict in src/a.cu\nerror: could not apply 4f3e2d1... x\n"
    assert told(log) == ("git-conflict", fix)
