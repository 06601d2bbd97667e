"""Tests that the tool, the machine and the file that a log is of choose the lines of a fix."""

from __future__ import annotations

import re

import pytest
from doctor.reading import CASES, findings, fix, told

from dcnbuild.doctor.logs.rule_table import RULES

#: Lines that only a shell of Unix takes.
POSIX = re.compile(r"(?:export |sudo |apt-get |\. |source )|\S*python3 -m venv |.*(?<![\w.:/])/(?:opt|usr|etc|var)/")
#: What only Windows prints.
OF_WINDOWS = re.compile(r"^(?:PS )?[A-Z]:\\[^>\n]*>|WinError|'[A-Z]:\\|\"[A-Z]:\\|LNK\d{4}|\b[A-Z]:\\\w", re.MULTILINE)
UNIX_THERE = re.compile(r"MINGW|UCRT64|\bWSL\b|microsoft-standard|docker|^[\w.-]+@[\w.-]+:|^\$ ", re.MULTILINE)


def _of_windows() -> list[str]:
    logs = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(CASES.glob("*/*.log"))]
    logs += [rule.example for rule in RULES]
    return [log for log in logs if OF_WINDOWS.search(log) and not UNIX_THERE.search(log)]


def test_no_fix_of_a_log_of_windows_is_for_unix_only() -> None:
    logs = _of_windows()
    assert len(logs) > 45
    lines = [(found.id, line) for log in logs for found in findings(log) for line in found.fix]
    assert [(name, line) for name, line in lines if POSIX.match(line)] == []


@pytest.mark.parametrize("path", ["Program Files\\\\Python311", "Python39"])
def test_an_environment_of_windows_is_made_as_windows_does(path: str) -> None:
    log = f"C:\\w> pip install numpy\nERROR: Could not install packages due to an OSError: [WinError 5] Access is denied: 'C:\\\\{path}\\\\Lib\\\\site-packages\\\\numpy'"
    assert fix(log) == ["python -m venv venv", "venv\\Scripts\\activate", "pip install numpy"]
    assert "\\\\" not in findings(log)[0].cause


CUT = "IncompleteRead(419430400 bytes read, 347340800 more expected)"
UNKNOWN_ISSUER = "  Caused by: invalid peer certificate: UnknownIssuer"
SELF_SIGNED = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate chain"
CA = "/etc/ssl/certs/ca-certificates.crt"


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        (
            f"$ uv sync\nerror: Failed to fetch: `https://x/t.whl`\n{UNKNOWN_ISSUER}",
            ["export UV_NATIVE_TLS=true", "uv sync"],
        ),
        (
            f"PS C:\\w> uv pip install torch\n  × Failed to fetch: `https://x/`\n{UNKNOWN_ISSUER}",
            ["$env:UV_NATIVE_TLS = 'true'", "uv pip install torch"],
        ),
        (
            f"$ pixi install\nError: failed to fetch https://c/x\n{UNKNOWN_ISSUER}",
            [f"export SSL_CERT_FILE={CA}", "pixi install"],
        ),
        (
            f"$ conda install numpy\nCondaSSLError: Encountered an SSL error.\n\nException: {SELF_SIGNED}",
            [f"conda config --set ssl_verify {CA}", "conda install numpy"],
        ),
        (
            "C:\\w> git clone https://github.com/o/r\nfatal: unable to access 'https://github.com/o/r/': SSL certificate "
            "problem: self-signed certificate in certificate chain",
            ["git config --global http.sslBackend schannel", "git clone https://github.com/o/r"],
        ),
        (
            "$ wget https://h/a.run\nERROR: cannot verify h's certificate, issued by 'CN=Proxy':",
            [f"sh -c 'echo \"ca_certificate = $0\" >> ~/.wgetrc' {CA}", "wget https://h/a.run"],
        ),
        (
            f"$ curl -LO https://h/a\ncurl: (60) SSL certificate problem: {SELF_SIGNED}",
            [f"export CURL_CA_BUNDLE={CA}", "curl -LO https://h/a"],
        ),
    ],
)
def test_each_tool_trusts_certificates_in_its_own_way(log: str, lines: list[str]) -> None:
    assert told(log) == ("certificate", lines)


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        (
            f"$ pip install torch\n  Downloading torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl (766.7 MB)\nProtocolError: ('Connection broken: {CUT}', {CUT})",
            [
                "python -m pip install --upgrade pip",
                "export PIP_RESUME_RETRIES=10",
                "export PIP_TIMEOUT=100",
                "pip install torch",
            ],
        ),
        (
            "PS C:\\w> pip install torch\nERROR: incomplete-download\n\n× Download failed because not enough bytes were received (2.3 GB/2.4 GB)",
            [
                "python -m pip install --upgrade pip",
                "$env:PIP_RESUME_RETRIES = '10'",
                "$env:PIP_TIMEOUT = '100'",
                "pip install torch",
            ],
        ),
        (
            "$ uv sync\n  ╰─▶ Failed to download distribution due to network timeout. Try increasing UV_HTTP_TIMEOUT (current value: 30s).",
            ["export UV_HTTP_TIMEOUT=300", "uv sync"],
        ),
        (
            f"$ python dl.py\nsnapshot_download\nrequests.exceptions.ChunkedEncodingError: ('Connection broken: {CUT}', {CUT})",
            ["python dl.py"],
        ),
        (
            "$ pip install torch\n  Using cached torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            ["pip cache purge", "pip install torch"],
        ),
        (
            "$ pip install torch\n  Downloading torch-2.6.0-cp311-cp311-manylinux1_x86_64.whl\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            ["export PIP_NO_CACHE_DIR=1", "export PIP_TIMEOUT=100", "pip install torch"],
        ),
    ],
)
def test_a_download_that_was_cut_goes_on(log: str, lines: list[str]) -> None:
    assert told(log) == ("damaged-download", lines)


BATCH = "Error downloading object: a.bin (0a1): Smudge error: Error downloading a.bin (0a1): batch response: {}\n"
CLONE = "$ git clone https://github.com/o/r\nCloning into 'r'...\n{}error: external filter 'git-lfs filter-process' failed\nwarning: Clone succeeded, but checkout failed."


@pytest.mark.parametrize(
    ("said", "title", "line"),
    [
        ("This repository exceeded its LFS budget.", "quota", "git -C r restore --source=HEAD :/"),
        ("This repository is over its data quota.", "quota", "export GIT_LFS_SKIP_SMUDGE=1"),
        ("Rate limit exceeded: https://github.com/o/r.git/info/lfs", "limits how much", "git lfs pull"),
        ("Authentication required: https://github.com/o/r.git/info/lfs", "known users", "gh auth login"),
        ("[404] Object does not exist on the server", "no such file", "git -C r restore --source=HEAD :/"),
    ],
)
def test_each_message_of_git_lfs_has_its_cause(said: str, title: str, line: str) -> None:
    log = CLONE.format(BATCH.format(said))
    found = findings(log)[0]
    assert (found.id, title in found.title, line in found.fix) == ("git-lfs", True, True)
    assert len(findings(log)) == 1


@pytest.mark.parametrize(
    ("file", "lines"),
    [
        ("site-packages\\\\cv2\\\\cv2.pyd", ["tasklist /m cv2.pyd", "pip install -U x"]),
        (
            "site-packages\\\\~orch\\\\lib\\\\c10.dll",
            ["tasklist /m c10.dll", 'rmdir /s /q "C:\\e\\Lib\\site-packages\\~orch"', "pip install -U x"],
        ),
        (
            "site-packages\\\\ninja\\\\data\\\\bin\\\\ninja.exe",
            ['tasklist /FI "IMAGENAME eq ninja.exe"', "pip install -U x"],
        ),
        (
            "site-packages\\\\..\\\\pip-uninstall-1\\\\pip.exe",
            ["python -m pip install --upgrade pip", "pip install -U x"],
        ),
    ],
)
def test_a_held_file_is_no_matter_of_rights(file: str, lines: list[str]) -> None:
    log = f"C:\\w> pip install -U x\nERROR: Could not install packages due to an OSError: [WinError 5] Access is denied: 'C:\\\\e\\\\Lib\\\\{file}'"
    assert told(log) == ("file-in-use", lines)


FRAME = "Traceback (most recent call last):\n  File \"{}\", line 4, in <module>\n    import x\nModuleNotFoundError: No module named 'lmdb'"


@pytest.mark.parametrize(
    ("frame", "python"),
    [
        ("D:\\Python310\\Lib\\site-packages\\b\\__init__.py", "D:\\Python310\\python.exe"),
        ("D:\\sd\\venv\\lib\\site-packages\\b\\__init__.py", "D:\\sd\\venv\\Scripts\\python.exe"),
        ("C:\\m\\envs\\venv2\\lib\\site-packages\\b\\__init__.py", "C:\\m\\envs\\venv2\\python.exe"),
        ("/srv/app/env/lib/python3.10/site-packages/b/__init__.py", "/srv/app/env/bin/python"),
        (
            "/home/u/miniconda3/envs/ml/lib/python3.10/site-packages/b/__init__.py",
            "/home/u/miniconda3/envs/ml/bin/python",
        ),
    ],
)
def test_the_python_of_the_traceback_installs_where_no_command_is_shown(frame: str, python: str) -> None:
    assert f"{python} -m pip install lmdb" in fix(FRAME.format(frame))
    shown = "C:\\w> python a.py\n" if "\\" in frame else "$ python a.py\n"
    assert "pip install lmdb" in fix(shown + FRAME.format(frame))


@pytest.mark.parametrize("place", ["/usr/local", "/opt/conda", "/home/u/.local"])
def test_a_python_that_is_on_the_path_is_called_by_its_name(place: str) -> None:
    assert "pip install lmdb" in fix(FRAME.format(f"{place}/lib/python3.10/site-packages/b/__init__.py"))


LIBGL = "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (f"svc-1  | Traceback (most recent call last):\nsvc-1  | {LIBGL}\n", "of the service"),
        (f"{LIBGL}\nsvc-1 exited with code 1", "of the service"),
        (f"===== Application Startup at 2025-03-01 10:12:12 =====\n\n{LIBGL}", "of the Space"),
        (
            f"===== Build Queued at 2025-03-01 10:10:10 / Commit SHA: abc =====\n\n--> RUN python test.py\n{LIBGL}",
            "of the Space",
        ),
        (f"$ kubectl logs trainer-0\n{LIBGL}", "of the image"),
    ],
)
def test_what_an_image_lacks_goes_into_its_dockerfile(log: str, said: str) -> None:
    lines = fix(log)
    assert lines[-1] == "RUN apt-get update && apt-get install -y libgl1"
    assert said in lines[-2]


PINNED = "ERROR: Could not find a version that satisfies the requirement {} (from -r req/gpu.txt (line 4)) (from versions: none)"


@pytest.mark.parametrize(
    ("shell", "requirement", "lines"),
    [
        (
            "me@MacBook-Pro p % ",
            "nvidia-nccl-cu12==2.18.1",
            [
                "sed -i.old -E 's/^nvidia-nccl-cu12([^[:alnum:]_.;-][^;#]*)?$/&; sys_platform == \"linux\"/' req/gpu.txt",
                "pip install -r req/gpu.txt",
            ],
        ),
        ("C:\\w> ", "triton==2.1.0", ["pip install -r req/gpu.txt"]),
    ],
)
def test_what_only_linux_has_gets_a_marker_in_its_file(shell: str, requirement: str, lines: list[str]) -> None:
    name, found = told(f"{shell}pip install -r req/gpu.txt\n{PINNED.format(requirement)}")
    assert found[-len(lines) :] == lines
    assert name in ("package-not-found", "triton-missing")
    assert not any(requirement in line for line in found)


NO_TORCH = """{}
  Getting requirements to build wheel did not run successfully.
      ModuleNotFoundError: No module named 'torch'
      [end of output]
  error: subprocess-exited-with-error"""


@pytest.mark.parametrize(
    ("begins", "last"),
    [
        (
            "[ComfyUI-Manager] Installing requirements of a node",
            "# Then install what failed again, as the program did, with the option --no-build-isolation",
        ),
        ("Installing requirements-gpu.txt", "pip install --no-build-isolation -r requirements-gpu.txt"),
    ],
)
def test_no_project_is_made_up(begins: str, last: str) -> None:
    assert fix(NO_TORCH.format(begins))[-1] == last


@pytest.mark.parametrize(
    ("log", "title", "lines"),
    [
        ("$ pip install -e .\nTypeError: canonicalize_version() got an unexpected keyword argument 'strip_trailing_zero'", "packaging", ["pip install 'packaging>=22'", "pip install -e ."]),
        ("$ pip install pyyaml==5.4.1\nAttributeError: cython_sources", "Cython 3", ["pip install 'pyyaml>=6.0.1'"]),
        ("$ pip install .\nAttributeError: install_layout. Did you mean: 'install_platlib'?", "Debian", ["python3 -m venv venv", ". venv/bin/activate", "pip install ."]),
        ("$ python setup.py bdist_wheel\nerror: invalid command 'bdist_wheel'", "wheel is missing", ["pip install wheel", "python setup.py bdist_wheel"]),
        ("$ python a.py\nAttributeError: 'EntryPoints' object has no attribute 'get'", "dictionary", ["pip install 'importlib-metadata<5'", "python a.py"]),
        ("C:\\w> git clone https://h/r\nerror: unable to create file a/b.html: Filename too long", "260", ["git config --global core.longpaths true", "git clone https://h/r"]),
        ("C:\\w> pip install .\nerror: command 'C:\\\\l\\\\link.exe' failed: [WinError 206] The filename or extension is too long", "command line", ["mkdir C:\\t", "set TMP=C:\\t", "set TEMP=C:\\t", "pip install ."]),
        ("C:\\w> pip install torch-scatter\n  Downloading torch_scatter-2.1.2.tar.gz\nbuilt for torch 2.5.1+cu124\nERROR: Failed building wheel for torch-scatter", "source", ["pip install torch-scatter -f https://data.pyg.org/whl/torch-2.5.0+cu124.html"]),
        ("C:\\w> pip install xformers\n  Downloading xformers-0.0.29.tar.gz\n  error: subprocess-exited-with-error\nModuleNotFoundError: No module named 'torch'", "source", ["pip install xformers torchvision torchaudio --index-url https://download.pytorch.org/whl/cu126"]),
        ("% uname -m\nx86_64\n% sw_vers\nProductName: macOS\n% poetry install\n  Unable to find installation candidates for torch (2.5.1)", "Intel", [ "poetry add torch==2.2.2 torchvision==0.17.2 torchaudio==2.2.2 'numpy<2'"]),
    ],
)  # fmt: skip
def test_each_message_has_its_own_smallest_fix(log: str, title: str, lines: list[str]) -> None:
    found = findings(log)[0]
    assert title in found.title
    assert told(log)[1] == lines
