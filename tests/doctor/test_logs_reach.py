"""Fixes reach what is built and what runs: the whole of what is printed, at several places each."""

from __future__ import annotations

import pytest
from doctor.reading import fix

from dcnbuild.doctor.fixes import commands, places
from dcnbuild.machine import versions

_GONE = '/w/net/csrc/a.cu(41): error: identifier "AT_CHECK" is undefined\nninja: build stopped: subcommand failed.'
_TYPE = (
    '/w/net/csrc/a.cu(65): error: no suitable conversion function from "const at::DeprecatedTypeProperties" to '
    '"c10::ScalarType" exists\nninja: build stopped: subcommand failed.'
)
_DROPPED = "Cuda compilation tools, release 13.0, V13.0.48\nnvcc fatal   : Unsupported gpu architecture 'compute_70'\nninja: build stopped"
_FRAGMENTS = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23 GiB"
)
_IMAGE = """#8 [4/6] COPY . /w/net
#9 [5/6] RUN cd /w/net && MAX_JOBS=4 pip install{} .
#9 1.2 Processing /w/net
{}
Dockerfile:9
   9 | >>> RUN cd /w/net && MAX_JOBS=4 pip install{} .
ERROR: failed to solve: process "/bin/sh -c pip" did not complete successfully: exit code: 1"""


def image(text: str, option: str = " --no-build-isolation") -> str:
    """The log of an image whose line 9 fails so."""
    return _IMAGE.format(option, "\n".join(f"#9 5.3 {line}" for line in text.split("\n")), option)


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        (
            f"(net) ada@lab:/w/net$ python setup.py build_ext --inplace\n{_GONE}",
            [
                "dcnbuild port --in-place .",
                "# This replaces AT_CHECK with TORCH_CHECK",
                "python setup.py build_ext --inplace",
            ],
        ),
        (
            f"!cd net && python3 setup.py build develop\n{_GONE}",
            [
                "!dcnbuild port --in-place net",
                "# This replaces AT_CHECK with TORCH_CHECK",
                "%cd net",
                "!python3 setup.py build develop",
            ],
        ),
        (
            f"D:\\seg>pip install -v -e .\nObtaining file:///D:/seg\n{_GONE.replace('/w/net/', 'D:/seg/')}",
            ["dcnbuild port --in-place D:\\seg", "rem This replaces AT_CHECK with TORCH_CHECK", "pip install -v -e ."],
        ),
        (
            f"$ uv pip install -e ./ops --no-build-isolation\n{_GONE}",
            [
                "dcnbuild port --in-place ./ops",
                "# This replaces AT_CHECK with TORCH_CHECK",
                "uv pip install -e ./ops --no-build-isolation",
            ],
        ),
        (
            image(_GONE),
            [
                "# In the Dockerfile, before line 9:",
                "RUN find /w/net -regextype posix-extended -regex '.*[.](cuh?|cpp|cc|h|hpp)'"
                " -exec sed -i -E 's/\\bAT_CHECK\\b/TORCH_CHECK/g' '{}' +",
                "# To make this permanent, change the checkout itself:",
                "# Outside the image, in the checkout that it copies: dcnbuild port --in-place .",
                "# This replaces AT_CHECK with TORCH_CHECK",
            ],
        ),
    ],
)
def test_sources_are_mended_where_they_are_built(log: str, lines: list[str]) -> None:
    assert fix(log) == lines


def test_a_call_in_an_image_is_mended_by_sed() -> None:
    (line,) = (line for line in fix(image(_TYPE)) if line.startswith("RUN "))
    assert "/AT_DISPATCH/s/\\.type\\(\\)/.scalar_type()/" in line and "-ported" not in line


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (f"$ export TORCH_CUDA_ARCH_LIST='7.0 8.6+PTX'\n$ pip install .\n{_DROPPED}", "export TORCH_CUDA_ARCH_LIST=8.6+PTX"),
        (f"D:\\seg>set TORCH_CUDA_ARCH_LIST=7.0;8.6\nD:\\seg>pip install .\n{_DROPPED}", "set TORCH_CUDA_ARCH_LIST=8.6"),
        (image(f"TORCH_CUDA_ARCH_LIST: 7.0;7.5;8.6\n{_DROPPED}"), "ENV TORCH_CUDA_ARCH_LIST='7.5;8.6'"),
        (f"##[group]Run pip install .\n{_DROPPED}", "export TORCH_CUDA_ARCH_LIST='7.5;8.0;8.6;8.9;9.0;10.0;12.0+PTX'"),
    ],
)  # fmt: skip
def test_a_list_of_architectures_loses_what_nvcc_does_not_know(log: str, line: str) -> None:
    assert line in fix(log)


def test_a_list_that_nvcc_knows_is_kept() -> None:
    assert versions.kept("7.5;8.6", "13.0") == versions.kept("7.0", "13.0") == versions.kept("", "13.0") == ""
    assert versions.kept("7.0 7.5 9.0+PTX", "13.0") == "7.5;9.0+PTX"


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        (
            f"ada@h:~$ docker run --rm -v $PWD:/w reg/net:1 python train.py\n{_FRAGMENTS}",
            "docker run -e PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True --rm -v $PWD:/w reg/net:1 python train.py",
        ),
        (
            f"ada@h:~$ docker run -it reg/net:1\nroot@3f2a1b:/w# python train.py\n{_FRAGMENTS}",
            "export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
        ),
        (f"$ docker compose up\n{_FRAGMENTS}", "ENV PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True"),
        (
            f"{_FRAGMENTS}\ngpu1 systemd[1]: net.service: Main process exited, code=exited",
            "Environment=PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True",
        ),
        (f"+ srun python train.py\n{_FRAGMENTS}", "export PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True"),
        (f"$ kubectl logs pod/a\n{_FRAGMENTS}", "ENV PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True"),
    ],
)
def test_a_variable_is_set_by_whoever_starts_the_program(log: str, lines: str) -> None:
    shown = fix(log)
    assert lines in shown
    places = [line for line in shown if line.startswith("# In the ")]
    assert len(places) == (0 if lines.startswith(("docker", "export")) and "srun" not in log else 1)


@pytest.mark.parametrize(
    ("option", "lines"),
    [
        (
            "",
            [
                "# In the Dockerfile, in place of line 9:",
                "RUN cd /w/net && MAX_JOBS=4 pip install --no-build-isolation .",
            ],
        ),
        (" --no-build-isolation", ["RUN pip install setuptools wheel packaging ninja"]),
    ],
)
def test_an_instruction_is_replaced_only_where_it_changes(option: str, lines: list[str]) -> None:
    missing = "  File \"<string>\", line 3, in <module>\nModuleNotFoundError: No module named 'torch'"
    assert fix(image(missing, option))[-len(lines) :] == lines


def test_several_includes_are_all_added_before_it_is_built() -> None:
    log = (
        "$ python setup.py install --blas=openblas\n"
        '/w/net/src/a.cuh(5): error: namespace "thrust" has no member "device"\n'
        '/w/net/src/b.cu(7): error: namespace "thrust" has no member "device"\n'
        '/w/net/src/b.cu(9): error: namespace "thrust" has no member "remove_if"\nninja: build stopped'
    )
    assert fix(log) == [
        "sed -i '1i #include <thrust/execution_policy.h>' /w/net/src/a.cuh",
        "sed -i '1i #include <thrust/execution_policy.h>' /w/net/src/b.cu",
        "sed -i '1i #include <thrust/remove.h>' /w/net/src/b.cu",
        "python setup.py install --blas=openblas",
    ]


@pytest.mark.parametrize(
    ("command", "again"),
    [
        ("docker run --rm img", "docker run -e A=1 --rm img"),
        ('docker run -v "$PWD":/w img', 'docker run -e A=1 -v "$PWD":/w img'),
        ('docker run -v "$SECRET:/w" img', ""),
        ("docker run -v $(pwd):/w -u $(id -u) img python 'a b.py'", "docker run -e A=1 -v $(pwd):/w -u $(id -u) img python 'a b.py'"),
        ("docker run img $(reboot)", ""),
        ("docker run img; reboot", ""),
        ("docker ps", ""),
    ],
)  # fmt: skip
def test_a_container_is_started_again_with_an_option(command: str, again: str) -> None:
    assert places.started(command, "-e", "A=1") == again


@pytest.mark.parametrize(
    ("words", "shell", "line"),
    [
        (("pip", "install", "a b"), "sh", "pip install 'a b'"),
        (("python", "setup.py", "install", "--x=${CONDA_PREFIX}/include"), "sh", 'python setup.py install "--x=${CONDA_PREFIX}/include"'),
        (("python", "setup.py", "x;$(reboot)"), "sh", "python setup.py 'x;$(reboot)'"),
    ],
)  # fmt: skip
def test_a_command_is_repeated_as_it_was_given(words: tuple[str, ...], shell: commands.Shell, line: str) -> None:
    assert commands.again(words, shell) == line


def test_variables_of_another_shell_are_not_repeated() -> None:
    with pytest.raises(commands.UnquotableError):
        commands.again(("pip", "install", "$HOME/net"), "powershell")


def test_what_one_of_two_ways_builds_comes_before_the_other() -> None:
    log = "$ pip install .\nProcessing /w/net\n/usr/local/cuda-11.8/bin/nvcc -c a.cu\n/usr/local/cuda-11.8/include/crt/host_config.h:132:2: error: #error -- unsupported GNU version! gcc versions later than 11 are not supported!\nERROR: Failed building wheel for net"
    lines = fix(log)
    first_alternative = next(number for number, line in enumerate(lines) if line.startswith("# or"))
    assert lines[first_alternative - 1] == "pip install ."


@pytest.mark.parametrize(
    ("header", "variable"), [("Eigen/Dense", "/usr/include/eigen3"), ("opencv2/core.hpp", "/usr/include/opencv4")]
)
def test_headers_that_no_compiler_looks_for_are_shown_to_it(header: str, variable: str) -> None:
    missing = f"/w/net/csrc/a.cpp:4:10: fatal error: {header}: No such file or directory"
    assert f'export CPATH={variable}:"$CPATH"' in fix(missing)
    assert f'ENV CPATH={variable}:"$CPATH"' in fix(image(missing))
    assert not any("CPATH" in line for line in fix(f"D:\\seg>pip install .\n{missing}"))


def test_a_unit_and_a_script_only_have_what_belongs_there() -> None:
    lines = ["pip install x", "export A=1", "unset B", "export C=$D"]
    once = "# Once, by hand, in the environment of the program:"
    assert places.placed(lines[:], "unit", "below Service:", "sh") == [
        once, "pip install x", "# below Service:", "Environment=A=1", "UnsetEnvironment=B", "export C=$D",
    ]  # fmt: skip
    script = places.placed(lines[:2], "script", "before srun:", "sh")
    assert script == [once, "pip install x", "# before srun:", "export A=1"]
    # what is set before it is for it
    assert places.placed(["export A=1", "pip install x"], "script", "before srun:", "sh") == [
        once,
        "export A=1",
        "pip install x",
    ]


@pytest.mark.parametrize("start", ["$ docker compose up trainer", "ada@h:~$ docker run --gpus all img"])
def test_the_machine_of_a_container_is_told_by_its_own_shell(start: str) -> None:
    log = f'{start}\nError response from daemon: could not select device driver "nvidia" with capabilities: [[gpu]]'
    typed = [line for line in fix(log) if not line.startswith("#")]
    assert "sudo apt-get install -y nvidia-container-toolkit" in typed
    assert typed[-3:] == [
        "sudo nvidia-ctk runtime configure --runtime=docker",
        "sudo systemctl restart docker",
        start.split("$ ")[1],
    ]
    assert not any("Dockerfile" in line for line in fix(log))


def test_a_container_without_gpus_is_started_with_them() -> None:
    log = "$ docker run --rm -it img python a.py\nRuntimeError: Found no NVIDIA driver on your system. Please check"
    assert "docker run --gpus all --rm -it img python a.py" in fix(log)
    assert "docker run --ipc=host --rm img python a.py" in fix(
        "$ docker run --rm img python a.py\nRuntimeError: DataLoader worker (pid 71) is killed by signal: Bus error. "
        "It is possible that dataloader's workers are out of shared memory."
    )


def test_submodules_are_fetched_where_the_checkout_lies() -> None:
    missing = "/w/net/csrc/a.cu:1:10: fatal error: glm/glm.hpp: No such file or directory\nninja: build stopped"
    assert "# Outside the image, in the checkout that it copies: git submodule update --init --recursive" in fix(
        image(missing)
    )
    cloned = "#9 [2/3] RUN cd /w/net && pip install .\n#9 Processing /w/net\n" + missing
    assert "RUN git -C /w/net submodule update --init --recursive" in fix(cloned)
    assert "!git -C net submodule update --init --recursive" in fix(f"!cd net && pip install .\n{missing}")


@pytest.mark.parametrize(
    ("shell", "form", "line", "said"),
    [
        ("sh", "", "nvcc --version", "# Show the CUDA release of nvcc:"),
        ("cmd", "", "where nvcc", "rem Show every nvcc on PATH:"),
        ("sh", "cell", "nvidia-smi -L", "# Show the GPUs and the driver:"),
    ],
)
def test_a_probe_says_what_it_shows(shell: commands.Shell, form: str, line: str, said: str) -> None:
    written = f"!{line}" if form else line
    assert places.placed([line], form, "", shell) == [said, written]
    assert places.placed(["# look at it:", line], form, "", shell) == ["# look at it:", written]
