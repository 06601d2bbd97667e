"""Tests that installing is answered by what stopped it: a limit, a place, another platform or another program."""

from __future__ import annotations

import pytest
from doctor.reading import findings, told


@pytest.mark.parametrize(
    ("log", "id", "lines"),
    [
        pytest.param(
            "$ uv pip install -e .\n  × No solution found when resolving dependencies:\n  ╰─▶ Because trainkit[rl]==0.3.1 depends on peft==0.11.1 and mylab==0.1.0 depends on peft==0.12.0, we can conclude that mylab==0.1.0 and\n      trainkit[rl]==0.3.1 are incompatible.\n      And because mylab==0.1.0 depends on trainkit[rl]==0.3.1, we can conclude that mylab==0.1.0 cannot be used.\n",
            "version-conflict",
            ["uv pip install --upgrade trainkit mylab"],
            id="uv-wrapped",
        ),
        pytest.param(
            "$ pip install -r requirements.txt\nERROR: Cannot install -r requirements.txt (line 3) and protobuf==3.20.3 because these package versions have conflicting dependencies.\n\nThe conflict is caused by:\n    The user requested protobuf==3.20.3\n    onnx 1.17.0 depends on protobuf>=3.20.4\n\nTo fix this you can try to:\n1. loosen the range of package versions you've specified\n2. remove package versions to allow pip to attempt to solve the dependency conflict\n\nERROR: ResolutionImpossible\n",
            "version-conflict",
            [
                "sed -i.old -E 's/^protobuf([^[:alnum:]_.-].*)?$/protobuf>=3.20.4/' requirements.txt",
                "pip install -r requirements.txt",
            ],
            id="pip-odds",
        ),
        pytest.param(
            "$ poetry add gradio\n\nBecause no versions of gradio match >4.44.1,<5.0.0\n and gradio (4.44.1) depends on pydantic (>=2.0), gradio (>=4.44.1,<5.0.0) requires pydantic (>=2.0).\nSo, because faceapp depends on both pydantic (^1.10) and gradio (^4.44.1), version solving failed.\n",
            "version-conflict",
            ["poetry add 'pydantic>=2.0'", "poetry add gradio"],
            id="poetry-odds",
        ),
        pytest.param(
            "Python 3.11.8 (tags/v3.11.8:db85d51, Feb  6 2024, 21:52:07) [MSC v.1937 32 bit (Intel)] on win32\nC:\\p>pip install torch==2.1.0\nERROR: Could not find a version that satisfies the requirement torch==2.1.0 (from versions: none)\nERROR: No matching distribution found for torch==2.1.0\n",
            "torch-version-unavailable",
            [
                "winget install Python.Python.3.11 --architecture x64",
                "py -3.11 -m venv venv64",
                "venv64\\Scripts\\activate",
                'pip install --upgrade "torch==2.1.0" "torchvision==0.16.*" "torchaudio==2.1.*"',
            ],
            id="win32",
        ),
        pytest.param(
            "Python 3.13.1 (tags/v3.13.1:0671451, Dec  3 2024, 19:06:28) [MSC v.1942 64 bit (AMD64)] on win32\nC:\\p>pip install torch==2.1.0\nERROR: Could not find a version that satisfies the requirement torch==2.1.0 (from versions: 2.5.0, 2.5.1, 2.6.0)\nERROR: No matching distribution found for torch==2.1.0\n",
            "torch-version-unavailable",
            [
                'conda create -n py3.11 "python=3.11"',
                "conda activate py3.11",
                'pip install --upgrade "torch==2.1.0" "torchvision==0.16.*" "torchaudio==2.1.*"',
            ],
            id="win64",
        ),
        pytest.param(
            'venv "D:\\sd\\stable-diffusion-webui-forge\\venv\\Scripts\\Python.exe"\nPython 3.12.7 (tags/v3.12.7:0b05ead, Oct  1 2024, 03:06:41) [MSC v.1941 64 bit (AMD64)]\nInstalling torch and torchvision\nERROR: Could not find a version that satisfies the requirement torch==2.1.2 (from versions: 2.2.0, 2.2.1, 2.3.0, 2.6.0)\nERROR: No matching distribution found for torch==2.1.2\nTraceback (most recent call last):\n  File "D:\\sd\\stable-diffusion-webui-forge\\launch.py", line 51, in <module>\n    main()\nRuntimeError: Couldn\'t install torch.\nCommand: "D:\\sd\\stable-diffusion-webui-forge\\venv\\Scripts\\python.exe" -m pip install torch==2.1.2 torchvision==0.16.2 --extra-index-url https://download.pytorch.org/whl/cu121\nError code: 1\n',
            "torch-version-unavailable",
            [
                "winget install -e --id Python.Python.3.10 --architecture x64",
                "rmdir /s /q D:\\sd\\stable-diffusion-webui-forge\\venv",
                "py -3.10 -m venv D:\\sd\\stable-diffusion-webui-forge\\venv",
            ],
            id="launcher",
        ),
        pytest.param(
            "$ sudo dnf install kernel-tools-cuda\nFailed to resolve the transaction:\nProblem: problem with installed package\n  - installed package mesa-extra-25.1.4-1.fc42.x86_64 obsoletes libgbm-old < 25.1.4 provided by libgbm-old-25.0.1-1.fc42.x86_64 from updates\n  - package kernel-tools-cuda-1.2-1.fc42.x86_64 from rpmfusion-nonfree requires libgbm-old(x86-64), but none of the providers can be installed\n  - conflicting requests\nYou can try to add to command line:\n  --skip-broken to skip uninstallable packages\n",
            "apt-dependencies",
            ["sudo dnf upgrade -y --refresh", "sudo dnf install kernel-tools-cuda"],
            id="dnf",
        ),
        pytest.param(
            "$ pip install -r requirements.txt\nCollecting ops\n  Cloning https://github.com/lab/ops (to revision fix-build) to /tmp/pip-install-k3/ops\n  Running command git clone -q https://github.com/lab/ops /tmp/pip-install-k3/ops\n  WARNING: Did not find branch or tag 'fix-build', assuming revision or ref.\n  Running command git checkout -q fix-build\n  error: pathspec 'fix-build' did not match any file(s) known to git\nERROR: Command errored out with exit status 1: git checkout -q fix-build Check the logs for full command output.\n",
            "git-ref",
            ["pip install git+https://github.com/lab/ops"],
            id="git-branch",
        ),
        pytest.param(
            "$ pip install git+https://github.com/lab/depth@v2\nCollecting git+https://github.com/lab/depth@v2\n  Cloning https://github.com/lab/depth (to revision v2) to /tmp/pip-req-build-a1b2\n  Running command git submodule update --init --recursive -q\n  git@github.com: Permission denied (publickey).\n  fatal: Could not read from remote repository.\n  fatal: clone of 'git@github.com:lab/depth-ops' into submodule path '/tmp/pip-req-build-a1b2/ops' failed\nERROR: Command errored out with exit status 1: git submodule update --init --recursive -q Check the logs for full command output.\n",
            "git-access",
            [
                "git config --global url.https://github.com/.insteadOf git@github.com:",
                "git config --global --add url.https://github.com/.insteadOf ssh://git@github.com/",
                "pip install git+https://github.com/lab/depth@v2",
            ],
            id="git-sub",
        ),
        pytest.param(
            "C:\\p>pip install -r requirements.txt\nCollecting git+https://github.com/lab/ops.git\n  ERROR: Error [WinError 2] The system cannot find the file specified while executing command git version\nERROR: Cannot find command 'git' - do you have 'git' installed and in your PATH?\n",
            "git-missing",
            ["winget install -e --id Git.Git", "pip install -r requirements.txt"],
            id="no-git",
        ),
        pytest.param(
            "(base) C:\\p>conda env create -f environment.yml\nChannels:\n - conda-forge\nPlatform: win-64\nSolving environment: failed\n\nLibMambaUnsatisfiableError: Encountered problems while solving:\n- nothing provides requested libgcc-ng ==13.2.0 h77fa898_6\n- nothing provides requested python ==3.10.14 hd12c33a_0_cpython\n- nothing provides requested ncurses ==6.5 h59595ed_0\n",
            "package-not-found",
            [
                'python -c "import pathlib, re, sys; f = pathlib.Path(sys.argv[1]); f.write_text(re.sub(*sys.argv[2:], f.read_text(), 0, re.M))" environment.yml "^( *- [^=:]+=[^=]+)=.*" \\1',
                'python -c "import pathlib, re, sys; f = pathlib.Path(sys.argv[1]); f.write_text(re.sub(*sys.argv[2:], f.read_text(), 0, re.M))" environment.yml "^ *- (_libgcc_mutex|_openmp_mutex|dbus|ld_impl_linux-64|libgcc-ng|libgcc|libgfortran-ng|libgfortran5|libgomp|libnsl|libstdcxx-ng|libstdcxx|libuuid|libxcrypt|ncurses|readline|gmp|gnutls|nettle|patchelf)=.*" ""',
                "conda env create -f environment.yml",
            ],
            id="conda-export",
        ),
        pytest.param(
            "(base) PS C:\\p> conda install kaolin-x\nPackagesNotFoundError: The following packages are not available from current channels:\n\n  - pyg\n",
            "package-not-found",
            ["conda install kaolin-x -c pyg"],
            id="conda-pytorch3d",
        ),
        pytest.param(
            "$ pip install torch --index-url https://download.pytorch.org/whl/cu124\nCould not fetch URL https://download.pytorch.org/whl/cu124/torch/: There was a problem confirming the ssl certificate: HTTPSConnectionPool(host='download.pytorch.org', port=443): Max retries exceeded with url: /whl/cu124/torch/ (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1000)'))) - skipping\nERROR: Could not find a version that satisfies the requirement torch (from versions: none)\nERROR: No matching distribution found for torch\n",
            "certificate",
            [
                "date",
                "pip install --upgrade pip",
                "pip install --upgrade certifi",
                "pip install torch --index-url https://download.pytorch.org/whl/cu124",
            ],
            id="expired",
        ),
        pytest.param(
            "PS C:\\Users\\k\\OneDrive\\nets> uv sync\nerror: Failed to install: rich-13.9.4-py3-none-any.whl (rich==13.9.4)\n  Caused by: failed to hardlink file from C:\\Users\\k\\AppData\\Local\\uv\\cache\\archive-v0\\Qx\\rich\\_log.py to C:\\Users\\k\\OneDrive\\nets\\.venv\\Lib\\site-packages\\rich\\_log.py\n  Caused by: The cloud operation cannot be performed on a file with incompatible hardlinks. (os error 396)\n",
            "file-system",
            ["$env:UV_LINK_MODE = 'copy'", "uv sync"],
            id="onedrive",
        ),
        pytest.param(
            "$ uv sync\nerror: Failed to install: regex-2024.11.6-cp311-cp311-manylinux_2_17_x86_64.whl (regex==2024.11.6)\n  Caused by: failed to remove directory `/nfs/ada/net/.venv/lib/python3.11/site-packages/regex`: Directory not empty (os error 39)\n",
            "file-system",
            ["export UV_PROJECT_ENVIRONMENT=/var/tmp/venv", "uv sync"],
            id="nfs",
        ),
        pytest.param(
            "PS C:\\p> uv sync\n  × Failed to download `scipy==1.15.2`\n  ├─▶ Failed to read from the distribution cache\n  ╰─▶ failed to rename file from C:\\Users\\k\\AppData\\Local\\uv\\cache\\.tmpAb12 to C:\\Users\\k\\AppData\\Local\\uv\\cache\\archive-v0\\Zz9: Zugriff verweigert (os error 5)\n",
            "file-in-use",
            ["uv cache dir", "uv sync"],
            id="scanner",
        ),
        pytest.param(
            "$ pip install tokenizers==0.12.1\n      error: casting `&T` to `&mut T` is undefined behavior, even if the reference is unused, consider instead using an `UnsafeCell`\n         = note: `#[deny(invalid_reference_casting)]` on by default\n      error: could not compile `tokenizers` (lib) due to 1 previous error; 3 warnings emitted\n      error: `cargo rustc --lib` failed with code 101\n  ERROR: Failed building wheel for tokenizers\n",
            "compile-error",
            ["export RUSTFLAGS='-A invalid_reference_casting'", "pip install tokenizers==0.12.1"],
            id="lint",
        ),
        pytest.param(
            "$ pipx install somedet\nFatal error from pip prevented installation. Full pip output in file:\n    /home/u/.local/state/pipx/log/cmd_pip_errors.log\n\nSome possibly relevant errors from pip install:\n    ERROR: Ignored the following versions that require a different python version: 3.1.1 Requires-Python <3.12,>=3.9\n    ERROR: Could not find a version that satisfies the requirement torchaudio>=2 (from somedet) (from versions: none)\n    ERROR: No matching distribution found for torchaudio>=2\n\nError installing somedet.\n",
            "package-not-found",
            ["pipx install --python 3.11 somedet"],
            id="pipx",
        ),
        pytest.param(
            "ValueError                                Traceback (most recent call last)\n<ipython-input-5-3f1d2a> in <cell line: 0>()\n----> 1 import pandas as pd\n/usr/local/lib/python3.11/dist-packages/numpy/random/_pickle.py in <module>\n----> 1 from .mtrand import RandomState\n\nnumpy/random/mtrand.pyx in init numpy.random.mtrand()\n\nValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from PyObject\n",
            "restart-session",
            [],
            id="colab-restart",
        ),
        pytest.param(
            "$ pip install -r requirements.txt\nCollecting voxtool==1.2 (from -r requirements.txt (line 7))\n  Getting requirements to build wheel: finished with status 'error'\n  error: subprocess-exited-with-error\n  × Getting requirements to build wheel did not run successfully.\n      File \"/tmp/pip-build-env-9/overlay/lib/python3.11/site-packages/setuptools/build_meta.py\", line 317, in run_setup\n        exec(code, locals())\n      File \"<string>\", line 5, in <module>\n      ModuleNotFoundError: No module named 'pkg_resources'\nERROR: Failed to build 'voxtool' when getting requirements to build wheel\n",
            "pkg-resources",
            [
                "python -c 'import pathlib; pathlib.Path('\\''constraints.txt'\\'').write_bytes(b'\\''setuptools<81'\\'')'",
                "export PIP_CONSTRAINT=constraints.txt",
                "export PIP_BUILD_CONSTRAINT=constraints.txt",
                "pip install -r requirements.txt",
            ],
            id="pkg-r",
        ),
        pytest.param(
            "u@ws:~/gs/submodules$ pip install diff-gaussian-rasterization\nERROR: Could not find a version that satisfies the requirement diff-gaussian-rasterization (from versions: none)\nERROR: No matching distribution found for diff-gaussian-rasterization\n",
            "package-not-found",
            ["cd submodules/diff-gaussian-rasterization", "pip install --no-build-isolation ."],
            id="simple-knn",
        ),
        pytest.param(
            "$ conda create -n det --file requirements.txt\nCondaValueError: could not parse 'idna @ file:///croot/idna_1666125576474/work' in: requirements.txt\n",
            "bad-requirement",
            [
                "sed -i.old -E 's/ *@ *file:.*//' requirements.txt",
                "conda create -n det python pip",
                "conda activate det",
                "pip install -r requirements.txt",
            ],
            id="freeze",
        ),
        pytest.param(
            "PS D:\\net> uv add -r requirements.txt\nerror: failed to read from file `requirements.txt`\n  Caused by: stream did not contain valid UTF-8\n",
            "source-encoding",
            [
                "uv run --no-sync python -c 'import pathlib, sys; f = pathlib.Path(sys.argv[1]); d = f.read_bytes(); f.write_text(d.decode('\\''utf-16'\\'' if d[:2] in (b'\\''\\xff\\xfe'\\'', b'\\''\\xfe\\xff'\\'') else '\\''cp1252'\\''), encoding='\\''utf-8'\\'')' requirements.txt",
                "uv add -r requirements.txt",
            ],
            id="utf16",
        ),
        pytest.param(
            'D:\\net>pip install -r requirements.txt\n  File "D:\\v\\lib\\site-packages\\pip\\_internal\\req\\req_file.py", line 560, in get_file_content\n    content = auto_decode(f.read())\n  File "D:\\v\\lib\\site-packages\\pip\\_internal\\utils\\encoding.py", line 36, in auto_decode\n    return data.decode(\nUnicodeDecodeError: \'gbk\' codec can\'t decode byte 0xac in position 220: illegal multibyte sequence\n',
            "source-encoding",
            ["set PYTHONUTF8=1", "pip install -r requirements.txt"],
            id="gbk",
        ),
        pytest.param(
            "$ pip install -r requirements.txt\nERROR: Wheel 'lmdb' located at /home/u/.cache/pip/wheels/4b/2a/lmdb-1.4.1-cp310-cp310-linux_x86_64.whl is invalid.\n",
            "damaged-download",
            ["pip cache remove lmdb", "pip install -r requirements.txt"],
            id="damaged",
        ),
        pytest.param(
            "$ python3.12 -m pip install tensorrt==8.6.1\nCollecting tensorrt==8.6.1\n  Downloading tensorrt-8.6.1.tar.gz (18 kB)\n  error: subprocess-exited-with-error\n      RuntimeError: Bad params\n      subprocess.CalledProcessError: Command '['/v/bin/python3.12', '-m', 'pip', 'install', 'tensorrt_libs==8.6.1', 'tensorrt_bindings==8.6.1']' returned non-zero exit status 1.\n",
            "package-not-found",
            ["python3.12 -m pip install 'tensorrt>=10'"],
            id="tensorrt",
        ),
        pytest.param(
            "PS C:\\> choco install visualstudio2022buildtools -y\nERROR: The installation of visualstudio2022buildtools failed (installer exit code: 1618).\n",
            "system-refuses",
            [],
            id="choco",
        ),
        pytest.param(
            "C:\\>winget install Nvidia.CUDA\nFound NVIDIA CUDA Toolkit [Nvidia.CUDA] Version 12.6\nSuccessfully verified installer hash\nStarting package install...\nInstaller failed with exit code: 3791644946\n",
            "system-refuses",
            [],
            id="winget",
        ),
        pytest.param(
            "$ pip install -r requirements.txt\nERROR: Could not find a version that satisfies the requirement torch==2.3.1+cu118 (from versions: 2.2.0, 2.2.1, 2.3.0, 2.3.1, 2.4.0)\nERROR: No matching distribution found for torch==2.3.1+cu118\n",
            "torch-version-unavailable",
            ["pip install -r requirements.txt --extra-index-url https://download.pytorch.org/whl/cu118"],
            id="local",
        ),
        pytest.param(
            "$ ./webui.sh\nThe virtual environment was not created successfully because ensurepip is not\navailable.  On Debian/Ubuntu systems, you need to install the python3-venv\npackage using the following command.\n\n    apt install python3.10-venv\n\nFailing command: /home/u/stable-diffusion-webui/venv/bin/python3\n\nERROR: Cannot activate python venv, aborting...\n",
            "pip-missing",
            ["sudo apt-get install -y python3.10-venv", "rm -rf /home/u/stable-diffusion-webui/venv", "./webui.sh"],
            id="venv-pkg",
        ),
        pytest.param(
            "Traceback (most recent call last):\n  File \"/w/infer.py\", line 9, in <module>\n    model = AutoModel.from_pretrained(path, trust_remote_code=True)\n  File \"/home/ada/.cache/huggingface/modules/transformers_modules/lab/vl-2b/5d1/modeling_vl.py\", line 21, in <module>\n    from transformers.utils.import_utils import is_torch_fx_available\nImportError: cannot import name 'is_torch_fx_available' from 'transformers.utils.import_utils' (/v/lib/python3.12/site-packages/transformers/utils/import_utils.py)\n",
            "python-api-changed",
            ["pip install 'transformers<5'"],
            id="remote",
        ),
        pytest.param(
            "#8 2.1 E: Package 'libgl1-mesa-glx' has no installation candidate\n------\nDockerfile:4\n>>> RUN apt-get update && apt-get install -y ffmpeg libgl1-mesa-glx\nERROR: failed to solve: process \"/bin/sh -c apt-get update && apt-get install -y ffmpeg libgl1-mesa-glx\" did not complete successfully: exit code: 100\n",
            "apt-no-package",
            [],
            id="libgl",
        ),
        pytest.param(
            "$ uv add nerfkit\n  × No solution found when resolving dependencies for split (markers: python_full_version >= '3.14'):\n  ╰─▶ Because nerfkit==0.9 has no wheels with a matching Python ABI tag (e.g., `cp314`) and only nerfkit<=0.9 is available, we can conclude that all versions of\n      nerfkit cannot be used.\n      And because your project depends on nerfkit, we can conclude that your project's requirements are unsatisfiable.\n\n      hint: While the active Python version is 3.12, the resolution failed for other Python versions supported by your\n      project. Consider limiting your project's supported Python versions using `requires-python`.\n",
            "python-version",
            ["sed -i -E 's/^requires-python *=.*/requires-python = \"==3.12.*\"/' pyproject.toml", "uv add nerfkit"],
            id="py-range",
        ),
        pytest.param(
            "$ python3.12 -m pip install torch\n  File \"/v/lib/python3.12/site-packages/pip/_vendor/pkg_resources/__init__.py\", line 2164, in <module>\n    register_finder(pkgutil.ImpImporter, find_on_path)\nAttributeError: module 'pkgutil' has no attribute 'ImpImporter'. Did you mean: 'zipimporter'?\n",
            "python-api-changed",
            ["python3.12 -m ensurepip --upgrade", "python3.12 -m pip install torch", "python3.12 --version"],
            id="pip-dead",
        ),
        pytest.param(
            "(base) PS C:\\p> conda install pyg\nPackagesNotFoundError: The following packages are not available from current channels:\n\n  - pyg\n\nCurrent channels:\n\n  - defaults\n",
            "package-not-found",
            ["conda install pyg -c pyg"],
            id="pyg",
        ),
    ],
)
def test_what_stopped_an_installation(log: str, id: str, lines: list[str]) -> None:
    assert told(log) == (id, lines)


def test_a_healthy_warning() -> None:
    assert (
        findings(
            "$ uv sync\nwarning: Failed to hardlink files; falling back to full copy. This may lead to degraded performance.\n         If the cache and target directories are on different filesystems, hardlinking may not be supported.\nInstalled 12 packages in 1.20s\n"
        )
        == ()
    )


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        (
            "$ uv pip install -e .\n  × No solution found when resolving dependencies:\n  ╰─▶ Because trainkit[rl]==0.3.1 depends on peft==0.11.1 and mylab==0.1.0 depends on peft==0.12.0, we can conclude that mylab==0.1.0 and\n      trainkit[rl]==0.3.1 are incompatible.\n      And because mylab==0.1.0 depends on trainkit[rl]==0.3.1, we can conclude that mylab==0.1.0 cannot be used.\n",
            "trainkit[rl]==0.3.1 requires peft==0.11.1, and mylab==0.1.0 peft==0.12.0.",
        ),
        (
            "$ poetry add gradio\n\nBecause no versions of gradio match >4.44.1,<5.0.0\n and gradio (4.44.1) depends on pydantic (>=2.0), gradio (>=4.44.1,<5.0.0) requires pydantic (>=2.0).\nSo, because faceapp depends on both pydantic (^1.10) and gradio (^4.44.1), version solving failed.\n",
            "gradio (4.44.1) requires pydantic>=2.0, and what was asked for pydantic^1.10.",
        ),
        (
            "$ pip install -r requirements.txt\nERROR: Could not find a version that satisfies the requirement torch==2.3.1+cu118 (from versions: 2.2.0, 2.2.1, 2.3.0, 2.3.1, 2.4.0)\nERROR: No matching distribution found for torch==2.3.1+cu118\n",
            "The index has torch 2.3.1, but not 2.3.1+cu118: wheels with +cu118 are on the index of PyTorch only.",
        ),
        (
            "PS C:\\> choco install visualstudio2022buildtools -y\nERROR: The installation of visualstudio2022buildtools failed (installer exit code: 1618).\n",
            "chocolatey or winget has started the installer of visualstudio2022buildtools, which ended with 1618: another installation is running.",
        ),
    ],
)
def test_why(log: str, cause: str) -> None:
    assert findings(log)[0].cause == cause
