"""A fix does again what whoever made the log ran: the same target, at the same place, in the same language."""

from __future__ import annotations

import pytest
from doctor.reading import findings, fix

from dcnbuild.doctor.logs.asked import Installation, installation, variables
from dcnbuild.doctor.logs.context import Context
from dcnbuild.doctor.parse.text import Log

_NO_TORCH = '  File "<pip-setuptools-caller>", line 34, in <module>\n  File "/tmp/pip-build-env-1/setup.py", line 2\nModuleNotFoundError: No module named \'torch\''
_NO_ARCHITECTURE = "    arch_list[-1] += '+PTX'\nIndexError: list index out of range"
_GONE = 'src/corr.cu(41): error: identifier "AT_CHECK" is undefined'


def asked(line: str) -> Installation:
    """The command of a log of one line."""
    found = installation(Context(Log(line), 0))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("line", "tool", "directory", "editable"),
    [
        ("(gs) ada@lab:~/net$ pip install ./ops", "pip", "./ops", False),
        ("ada@lab ~/net (main)> pip3 install -v -e ops/dcn/.", "pip3", "ops/dcn", True),
        ("[ada@login net]$ python3.10 -m pip install --user -e .", "python3.10 -m pip", ".", True),
        ("PS D:\\seg> py -3.10 -m pip install .\\ops", "py -3.10 -m pip", ".\\ops", False),
        ("(net) D:\\seg>pip install -e D:\\seg\\ops", "pip", "D:\\seg\\ops", True),
        ("#9 [5/11] RUN cd /w && pip install ../ops[dev]", "pip", "../ops", False),
        ("##[group]Run pip install ext/corr -c constraints.txt", "pip", "ext/corr", False),
        ("!pip install -q ./ops", "pip", "./ops", False),
        ("+ uv pip install --no-build-isolation -e . 2>&1 | tee build.log", "uv pip", ".", True),
        ("$ MAX_JOBS=4 pip install .", "pip", ".", False),
        ("$ cd ops && python setup.py build develop", "pip", ".", True),
    ],
)
def test_the_command_of_a_log(line: str, tool: str, directory: str, editable: bool) -> None:
    found = asked(line)
    assert (" ".join(found.tool), found.directory, found.editable) == (tool, directory, editable)


@pytest.mark.parametrize(
    "target", ["torch", "/", "~/net", "x/y.whl", "git+https://github.com/a/b", "-r r.txt", "./a ./b"]
)
def test_what_is_no_single_directory_is_none(target: str) -> None:
    found = installation(Context(Log(f"$ pip install {target}"), 0))
    assert found is None or found.directory == ""


@pytest.mark.parametrize("target", ["$HOME/net", "`pwd`", "./*"])
def test_what_a_shell_replaces_is_not_repeated(target: str) -> None:
    assert installation(Context(Log(f"$ pip install {target}"), 0)) is None


def test_no_address_out_of_a_log_becomes_a_source_of_packages() -> None:
    assert asked("$ pip install --user --index-url http://a.example/simple -f http://b.example .").options == (
        "--user",
    )


def test_the_package_keeps_the_release_that_was_asked_for() -> None:
    found = asked("$ pip install flash_attn==2.7.4 git+https://github.com/a/mmcv.git@v2")
    assert found.named("flash-attn") == "flash_attn==2.7.4"
    assert found.named("mmcv") == "git+https://github.com/a/mmcv.git@v2" and found.named("flash") == ""


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("ada@box:~/net$ pip install ./ops/dcn", "pip install --no-build-isolation ./ops/dcn"),
        ("ada@box:~/net$ pip3 install -e ./ops", "pip3 install --no-build-isolation -e ./ops"),
        ("$ python3.11 -m pip install --user .", "python3.11 -m pip install --no-build-isolation --user ."),
        ("D:\\seg> pip install -e D:\\seg\\ops", "pip install --no-build-isolation -e D:\\seg\\ops"),
        ("$ uv pip install -e ./ops", "uv pip install --no-build-isolation -e ./ops"),
        ('$ pip install -e "./ops" 2>&1 | tee "log"', "pip install --no-build-isolation -e ./ops"),
    ],
)
def test_it_is_built_again_by_the_same_command(command: str, line: str) -> None:
    log = f"{command}\nProcessing ./ops\n{_NO_TORCH}".replace(
        "./ops\n", "D:\\seg\\ops\n" if "D:" in command else "./ops\n"
    )
    assert line in fix(log)


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ('"numpy<2" mmengine mmcv==2.1.0', "pip install --no-build-isolation 'numpy<2' mmengine mmcv==2.1.0"),
        ("'setuptools>=60' \"mmcv>=2\" > log.txt", "pip install --no-build-isolation 'setuptools>=60' 'mmcv>=2'"),
        (
            "ninja git+https://host.org/lab/mmcv/#subdirectory=bindings",
            "pip install --no-build-isolation ninja 'git+https://host.org/lab/mmcv/#subdirectory=bindings'",
        ),
    ],
)
def test_all_that_was_asked_for_is_asked_for_again(asked: str, line: str) -> None:
    log = (
        f"##[group]Run pip install {asked}\nCollecting mmcv\n  Building wheel for mmcv (setup.py): started\n{_NO_TORCH}"
    )
    assert line in fix(log.replace("'torch'", "'pkg_resources'"))


@pytest.mark.parametrize("cell", ["[12] !sh make.sh", "In [3]: !sh make.sh", "!pip install -v ."])
def test_the_cells_of_a_notebook_get_cells(cell: str) -> None:
    log = f'{cell}\nrunning build_ext\n/content/net/ops/a.cu(9): error: identifier "THCCeilDiv" is undefined\n'
    assert fix(log)[0].startswith("!dcnbuild port")


def test_a_url_of_windows_becomes_its_path() -> None:
    log = "D:\\my net>python x.py\nObtaining file:///D:/my%20net/ops\n" + _GONE
    assert any(line.startswith('dcnbuild port --in-place "D:\\my net\\ops"') for line in fix(log))


@pytest.mark.parametrize(
    ("log", "before", "line"),
    [
        ("Dockerfile:14\n>>> RUN pip install .\n", "# In the Dockerfile, before line 14:", "ENV TORCH_CUDA_ARCH_LIST="),
        ("Step 7/9 : RUN pip install .\n", "# In the Dockerfile, before step 7:", "ENV TORCH_CUDA_ARCH_LIST="),
        (" > [web 5/9] RUN pip install .:\n", "# In the Dockerfile, before step 5:", "ENV TORCH_CUDA_ARCH_LIST="),
        ("##[group]Run pip install .\n", "# In the workflow, in the run: step", "export TORCH_CUDA_ARCH_LIST="),
        ("Running with gitlab-runner 16\n$ pip install .\n", "# In .gitlab-ci.yml, in script:", "export TORCH_CUDA"),
        ("/var/lib/jenkins/workspace/net\n+ pip install .\n", "# In the file of this job", "export TORCH_CUDA"),
        ("ada@lab ~/net> pip install .\n", "", "set -gx TORCH_CUDA_ARCH_LIST "),
        ("[ada@lab ~/net]% setenv CC gcc\n", "", "setenv TORCH_CUDA_ARCH_LIST "),
    ],
)
def test_a_variable_is_set_where_the_build_reads_it(log: str, before: str, line: str) -> None:
    lines = fix(log + _NO_ARCHITECTURE)
    number = next(number for number, text in enumerate(lines) if text.startswith(line))
    assert lines[number - 1].startswith(before)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("$ export MAX_JOBS=16", True),
        ('$ export MAX_JOBS="16"', True),
        ("PS C:\\x> $env:MAX_JOBS = '16'", True),
        ("C:\\x>set MAX_JOBS=16", True),
        ("> set -gx MAX_JOBS 16", True),
        ("% setenv MAX_JOBS 16", True),
        ("#7 [3/9] ENV MAX_JOBS=16", True),
        ("os.environ['MAX_JOBS'] = '16'", True),
        ("$ MAX_JOBS=16 pip install .", True),
        ("Please set MAX_JOBS=16 or less", False),
    ],
)
def test_the_variables_that_a_log_sets(line: str, shown: bool) -> None:
    assert (("MAX_JOBS", "16") in variables(Context(Log(line), 0))) == shown


def test_what_was_tried_in_vain_is_not_advised_again() -> None:
    log = (
        "$ export TORCH_CUDA_ARCH_LIST=8.0\n$ pip install ops/net\nProcessing ./ops/net\n"
        "nvcc fatal   : Unsupported gpu architecture 'compute_37'\nCuda compilation tools, release 12.1, V12.1.66"
    )
    lines = fix(log)
    assert "export TORCH_CUDA_ARCH_LIST=8.0" not in lines
    assert any("is already set to 8.0" in line for line in lines)
    assert any(line.startswith("grep ") and line.endswith(" ops/net") for line in lines)
    assert "pip install --no-build-isolation ops/net" in lines


@pytest.mark.parametrize(
    ("shown", "jobs"),
    [
        ("Mem:              31           6          21           0           3          24", "3"),
        ("Mem:           7.7Gi       1.2Gi       5.1Gi        12Mi       1.4Gi       6.2Gi", "1"),
        ("Mem:          257654       10000      200000         100       40000      240000", "8"),
        ("MemAvailable:   65536000 kB", "7"),
        ("a container of docker run with --memory=16g", "2"),
        ("a machine with 64 GB RAM", "8"),
        ("", "8"),
    ],
)
def test_fewer_jobs_for_the_memory_that_the_log_shows(shown: str, jobs: str) -> None:
    log = f"$ export MAX_JOBS=16\n{shown}\nc++: fatal error: Killed signal terminated program cc1plus"
    assert f"export MAX_JOBS={jobs}" in fix(log)


def test_what_was_ported_is_what_the_command_builds() -> None:
    lines = fix(f"$ pip install -e ./ops\nProcessing ./ops\n{_GONE}")
    assert [line for line in lines if line[0] != "#"] == ["dcnbuild port --in-place ./ops", "pip install -e ./ops"]
    jit = fix(f"Using /home/ada/.cache/torch_extensions/py310_cu121 as PyTorch extensions root...\n{_GONE}")
    assert jit[0] == "dcnbuild port --in-place ." and not any("pip install" in line for line in jit)


def test_options_of_a_setup_py_are_not_lost() -> None:
    log = '$ python setup.py install --blas=openblas\n/w/a.h(24): error: namespace "std" has no member "uintptr_t"'
    assert fix(log)[-1] == "python setup.py install --blas=openblas"
    assert fix(log.replace("openblas", "$BLAS/x"))[-1] == 'python setup.py install "--blas=$BLAS/x"'
    assert "`" not in fix(log.replace("openblas", "`reboot`"))[-1]


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        ("##[group]Run pip install .\nERROR: [Errno 28] No space left on device", ["# - run: sudo rm -rf /usr/share/dotnet", "export PIP_NO"]),
        ("#9 [5/11] RUN pip install .\n#9 3.1 ERROR: [Errno 28] No space left on device", ["docker system df", "ENV PIP_NO_CACHE_DIR=1"]),
    ],
)  # fmt: skip
def test_the_disk_of_a_runner_is_not_that_of_pips_cache(log: str, lines: list[str]) -> None:
    shown = "\n".join(fix(log))
    assert all(line in shown for line in lines) and "cache purge" not in shown


@pytest.mark.parametrize("path", ["/usr/local/cuda/lib64", "/usr/lib/x86_64-linux-gnu", "/opt/conda/lib"])
def test_a_library_of_nvidias_in_the_system_is_nobodys_to_build(path: str) -> None:
    log = f"$ echo $LD_LIBRARY_PATH\n{path}\n{path}/libcudnn_graph.so.9: undefined symbol: cudnnGetLibConfig"
    found = findings(log)[0]
    assert "unset LD_LIBRARY_PATH" in found.fix and not any("rm -rf" in line or " ." in line for line in found.fix)
    assert path in found.cause


def test_the_cause_in_a_line_below_is_not_taken_for_that_of_the_line_above() -> None:
    log = (
        "docker: Error response from daemon: OCI runtime create failed: error during container init\n"
        "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: unknown\n\n"
        "Run 'docker run --help' for more information"
    )
    assert [finding.id for finding in findings(log)] == ["driver-library-mismatch"]


def test_a_directory_that_was_named_from_here_is_not_entered_first() -> None:
    log = "$ pip install ./sub/raster\nProcessing ./sub/raster\nsrc/b.h:19:10: fatal error: glm/glm.hpp: No such file or directory"
    assert fix(log) == ["git submodule update --init --recursive", "pip install ./sub/raster"]


@pytest.mark.parametrize(
    ("shown", "installs"),
    [
        ("$ ls -d /usr/local/cuda*\n/usr/local/cuda-12.1  /usr/local/cuda-12.6", False),
        ("ls: cannot access '/usr/local/cuda-12.6': No such file or directory", True),
        ("", True),
    ],
)
def test_a_toolkit_that_the_log_shows_is_not_installed_again(shown: str, installs: bool) -> None:
    log = f"RuntimeError: The detected CUDA version (12.1) mismatches the version that was used to compile\nPyTorch (12.6).\n{shown}"
    lines = fix(log)
    assert any("toolkit-12-6" in line for line in lines) == installs
    assert any("CUDA_HOME=/usr/local/cuda-12.6" in line for line in lines)


def test_an_installed_library_is_shown_to_the_loader_and_not_installed_again() -> None:
    log = "ImportError: libcudnn_cnn.so.9: cannot open shared object file: No such file or directory\n$ pip list\n"
    known = fix(f"{log}nvidia-cudnn-cu12        9.1.0.70\ntorch   2.5.0+cu124")
    assert any("LD_LIBRARY_PATH" in line for line in known) and not any("install" in line for line in known[1:])
    assert any("nvidia-cudnn-cu12" in line for line in fix(f"{log}torch   2.5.0+cu124"))


def test_the_torch_in_use_is_not_the_one_that_a_model_was_trained_with() -> None:
    log = Log("Model was trained with torch 1.10.0+cu102, yours is 2.5.0+cu124. Bad things may happen.")
    assert Context(log, 0).torch == "2.5.0+cu124"


def test_a_torch_without_cuda_is_exchanged_for_the_same_release_with_it() -> None:
    log = "    PyTorch 2.3.1+cu121 with CUDA 1201 (you have 2.3.1+cpu)\nAssertionError: Torch not compiled with CUDA enabled"
    found = findings(log)
    assert [one.id for one in found] == ["cpu-only-torch"]
    assert any("torch==2.3.1" in line and line.endswith("/cu121") for line in found[0].fix)


def test_a_check_of_the_program_for_a_gpu_is_that_of_a_wheel_without_cuda() -> None:
    log = "ValueError: Invalid CUDA 'device=0' requested. Use 'device=cpu'\n$ pip list\ntorch  2.8.0+cpu\n"
    assert findings(log)[0].id == "cpu-only-torch"
    assert findings(f"{log}ada@jetson:~$ cat /etc/nv_tegra_release\n# R36 (release)")[0].id == "jetson-wheel"


def test_a_runner_has_no_dcnbuild() -> None:
    lines = fix(f"##[group]Run pip install .\n$ pip install ./ops\nProcessing ./ops\n{_GONE}")
    assert "# In your own checkout, then commit the result: dcnbuild port --in-place ./ops" in lines
    assert not any(line.startswith("dcnbuild") for line in lines)


def test_the_image_is_the_one_of_the_log_with_its_toolkit() -> None:
    log = (
        "#5 [1/4] FROM docker.io/pytorch/pytorch:2.6.0-cuda12.6-cudnn9-runtime@sha256:0a\n#8 [3/4] RUN pip install .\n"
    )
    log += "#8 2.1 OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root."
    assert any(line.endswith("FROM pytorch/pytorch:2.6.0-cuda12.6-cudnn9-devel") for line in fix(log))
