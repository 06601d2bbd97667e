"""Whatever form a failed command has, the fix ends with it; what others say is theirs; who goes on has no fault."""

from __future__ import annotations

import pytest
from doctor.reading import findings

_PIP = """Building wheels for collected packages: fastops
  Building wheel for fastops (setup.py) ... error
  error: subprocess-exited-with-error
      running build_ext
      /usr/local/cuda-12.4/include/crt/host_config.h:143:2: error: #error -- unsupported GNU version! gcc versions later than 13 are not supported!
      error: command '/usr/local/cuda-12.4/bin/nvcc' failed with exit code 1
  ERROR: Failed building wheel for fastops
"""


@pytest.mark.parametrize(
    "before", ["", "sudo -H ", "FORCE_CUDA=1 ", "MAX_JOBS=4 CFLAGS=-O1 ", "srun --gres=gpu:1 ", "conda run -n net "]
)
@pytest.mark.parametrize("tool", ["pip", "pip3.10", "python3.11 -m pip", "/opt/py/bin/pip", "uv pip"])
@pytest.mark.parametrize(
    "words",
    [
        *("fastops", "fastops==2.1", "'fastops[cuda]>=2,<3' --no-build-isolation", "-v -e './ops[train]'", "-e ."),
        *("-r requirements/gpu.txt -c constraints.txt", "git+https://github.com/a/fastops@v1.2", "~/src/fastops"),
        *("'git+https://github.com/a/b.git#egg=fastops&subdirectory=ops'", "dist/fastops-1.2-cp310-cp310-linux_x86_64.whl"),
        *("-U fastops --extra-index-url https://download.pytorch.org/whl/cu124", "fastops --config-settings=--a=b"),
    ],
)  # fmt: skip
def test_a_fix_ends_with_the_command_as_it_was_typed(before: str, tool: str, words: str) -> None:
    command = f"{before}{tool} install {words}"
    lines = findings(f"ada@box:~/net$ {command}\n{_PIP}")[0].fix
    assert command in lines and not any(line.startswith("pip install --no-build-isolation fastops") for line in lines)


@pytest.mark.parametrize(
    "command",
    [
        *("python setup.py build develop", "MAX_JOBS=4 CFLAGS=-O1 python setup.py install", "sh ./make.sh", "make -j8"),
        *("python -m build --no-isolation", "ninja -C build", "uv sync --extra cu124", "poetry install --with gpu"),
    ],
)
def test_what_builds_otherwise_is_given_again_too(command: str) -> None:
    assert command in findings(f"ada@box:~/net$ {command}\n{_PIP}")[0].fix


def test_a_compiler_that_the_fix_chooses_is_not_chosen_by_the_command() -> None:
    fix = findings(f"ada@box:~/net$ MAX_JOBS=4 CC=gcc-14 CXX=g++-14 python setup.py install\n{_PIP}")[0].fix
    assert "export CC=/usr/bin/gcc-13" in fix and "MAX_JOBS=4 python setup.py install" in fix


def test_a_command_goes_on_below() -> None:
    log = f"$ pip install \\\n    --no-build-isolation \\\n>   fastops==1.2\n{_PIP}"
    assert "pip install --no-build-isolation fastops==1.2" in findings(log)[0].fix


@pytest.mark.parametrize("words", ["fastops --index-url https://a.example/simple", "fastops -f http://b.example/x"])
def test_no_index_of_somebodys_is_given_again(words: str) -> None:
    assert not any("example" in line for line in findings(f"$ pip install {words}\n{_PIP}")[0].fix)


_PKG_RESOURCES = 'Traceback (most recent call last):\n  File "/e/lib/python3.12/site-packages/pkg_resources/__init__.py", line 2191, in <module>\n'


@pytest.mark.parametrize(
    ("log", "root"),
    [
        ("$ npm i\nnpm error code ERESOLVE\nnpm error ERESOLVE unable to resolve dependency tree\nnpm error Could not resolve dependency:", "ERESOLVE unable"),
        ("$ pnpm install\n ERR_PNPM_OUTDATED_LOCKFILE  Cannot install with frozen-lockfile", "ERR_PNPM_OUTDATED_LOCKFILE"),
        ("$ ./gradlew b\n  java.lang.IllegalArgumentException: Unsupported class file major version 65\n  \tat a.B.c(B.java:9)", "class file major version 65"),
        ("$ mvn package\n[ERROR] /w/App.java:[5,9] cannot find symbol\n[ERROR] -> [Help 1]", "cannot find symbol"),
        ("$ dotnet build\n/w/P.cs(5,13): error CS0103: The name 'foo' does not exist", "CS0103"),
        ("$ go build\n./main.go:12:9: undefined: foo", "undefined: foo"),
        ("$ ruby a.rb\na.rb:3:in `f': undefined method `b' (NoMethodError)\n\tfrom a.rb:6:in `<main>'", "NoMethodError"),
        ("$ php a.php\nPHP Fatal error:  Uncaught Error: Class \"X\" not found in /w/a.php:12", "Uncaught Error"),
        ("$ psql -f a.sql\npsql:a.sql:12: ERROR:  relation \"users\" does not exist", 'relation "users"'),
        ("$ sudo nginx -t\nnginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)", "bind() to"),
        ("$ cargo b\n  thread 'main' panicked at /h/.cargo/registry/src/openssl-sys-0.9.99/build/find_normal.rs:190:5:\n\n  Could not find directory of OpenSSL installation", "Could not find directory of OpenSSL"),
        ("$ flutter pub get\nBecause app depends on http ^2.0.0 which doesn't match any versions, version solving failed.", "app depends on http"),
        ("$ journalctl -u a\nMar 04 06:02:19 cuda-1 gunicorn[11]: Traceback (most recent call last):\nMar 04 06:02:19 cuda-1 gunicorn[11]:   File \"/w/a.py\", line 3, in f\nMar 04 06:02:19 cuda-1 gunicorn[11]: psycopg.OperationalError: connection failed: Connection refused", "OperationalError: connection failed"),
    ],
)  # fmt: skip
def test_others_are_told_by_their_own_line(log: str, root: str) -> None:
    found = findings(log)[0]
    assert root in found.cause and not any("torch" in line or "pip " in line for line in found.fix)


def test_mim_installs_no_packages_but_its_own() -> None:
    lines = findings(
        f"$ mim install mmcv\n{_PKG_RESOURCES}AttributeError: module 'pkgutil' has no attribute 'ImpImporter'"
    )[0].fix
    assert "pip install 'setuptools>=70,<82'" in lines
    assert not any("mim install" in line and "setuptools" in line for line in lines)


@pytest.mark.parametrize(
    "said",
    [
        "Installed CUDA version 12.6 does not match the version torch was compiled with 12.8 but since the APIs are compatible, accepting this combination",
        "Traceback (most recent call last):\n  File \"/w/a.py\", line 9, in <module>\nModuleNotFoundError: No module named 'triton'\n[TeaCache] triton not found, falling back to eager mode",
        "Failed to load CUDA extension, falling back to slow reference implementation. Details:\nTraceback (most recent call last):\n  File \"/w/a.py\", line 4, in f\nRuntimeError: Could not find MSVC/GCC/CLANG installation on this computer.",
    ],
)  # fmt: skip
def test_a_program_that_says_that_it_goes_on_and_does_has_no_fault(said: str) -> None:
    assert not findings(f"$ python run.py\n{said}\n100%|####| 20/20 [00:05<00:00, 3.9it/s]\nsaved to out.png")
    assert findings(f"$ python run.py\n{said}\n") or "accepting" in said


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        ("NVIDIA RTX A6000, capability (8, 6), torch 2.0.1+cu118", "8.6"),
        ("NVIDIA GeForce RTX 4070 Ti SUPER, 8.9", "8.9"),
        ("|   0  NVIDIA A100-SXM4-80GB          Off |", "8.0"),
        ("Device: cuda:0 NVIDIA GeForce RTX 5090", "12.0"),
        ("This needs a GPU of compute capability: 9.0 or newer", "nvidia-smi"),
    ],
)
def test_the_gpu_that_the_log_shows_is_compiled_for(shown: str, line: str) -> None:
    log = f"$ pip install ./ops\n$ python a.py\n{shown}\nerror in f: no kernel image is available for execution on the device"
    assert any(f"TORCH_CUDA_ARCH_LIST={line}" in text or line in text for text in findings(log)[0].fix)
