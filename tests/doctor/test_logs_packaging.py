"""Tests that what installs is answered in its own words, by what the log shows of versions, places and systems."""

from __future__ import annotations

import pytest
from doctor.reading import findings


@pytest.mark.parametrize(
    ("log", "id", "lines"),
    [
        (
            '$ pip install https://github.com/openai/CLIP/archive/d50d76daa670.zip\nCollecting https://github.com/openai/CLIP/archive/d50d76daa670.zip\n  Using cached https://github.com/openai/CLIP/archive/d50d76daa670.zip (4.3 MB)\n  Installing build dependencies ... done\n  Getting requirements to build wheel ... error\n  error: subprocess-exited-with-error\n\n  × Getting requirements to build wheel did not run successfully.\n  │ exit code: 1\n  ╰─> [3 lines of output]\n      Traceback (most recent call last):\n        File "/home/u/v/lib/python3.11/site-packages/pip/_vendor/pyproject_hooks/_in_process/_in_process.py", line 389, in <module>\n          main()\n        File "/tmp/pip-build-env-2x1m9w0q/overlay/lib/python3.11/site-packages/setuptools/build_meta.py", line 317, in run_setup\n          exec(code, locals())\n        File "<string>", line 3, in <module>\n      ModuleNotFoundError: No module named \'pkg_resources\'\n      [end of output]\nERROR: Failed to build \'https://github.com/openai/CLIP/archive/d50d76daa670.zip\' when getting requirements to build wheel\n',
            "pkg-resources",
            [
                "pip install 'setuptools<81'",
                "pip install --no-build-isolation https://github.com/openai/CLIP/archive/d50d76daa670.zip",
            ],
        ),
        (
            'venv "D:\\sd\\venv\\Scripts\\Python.exe"\nPython 3.10.6\nInstalling clip\nTraceback (most recent call last):\n  File "D:\\sd\\launch.py", line 48, in <module>\n    main()\n  File "D:\\sd\\modules\\launch_utils.py", line 116, in run\n    raise RuntimeError("\\n".join(error_bits))\nRuntimeError: Couldn\'t install open_clip.\nCommand: "D:\\sd\\venv\\Scripts\\python.exe" -m pip install https://github.com/mlfoundations/open_clip/archive/bb6e834e9c70.zip --prefer-binary\nError code: 1\nstdout: Collecting https://github.com/mlfoundations/open_clip/archive/bb6e834e9c70.zip\n  Installing build dependencies: started\nstderr:   error: subprocess-exited-with-error\n\n  Getting requirements to build wheel did not run successfully.\n  exit code: 1\n  [3 lines of output]\n  Traceback (most recent call last):\n    File "C:\\Users\\k\\AppData\\Local\\Temp\\pip-build-env-2x\\overlay\\Lib\\site-packages\\setuptools\\build_meta.py", line 317, in run_setup\n      exec(code, locals())\n    File "<string>", line 3, in <module>\n  ModuleNotFoundError: No module named \'pkg_resources\'\nERROR: Failed to build \'https://github.com/mlfoundations/open_clip/archive/bb6e834e9c70.zip\' when getting requirements to build wheel\n',
            "pkg-resources",
            [
                "cd /d D:\\sd",
                "D:\\sd\\venv\\Scripts\\Python.exe -c \"import pathlib; pathlib.Path('constraints.txt').write_bytes(b'setuptools<81')\"",
                "set PIP_CONSTRAINT=constraints.txt",
            ],
        ),
        (
            'venv "/home/u/sd/venv/bin/python3.13"\nInstalling torch and torchvision\nERROR: Could not find a version that satisfies the requirement torch==2.1.2 (from versions: 2.5.0, 2.5.1, 2.6.0)\nERROR: No matching distribution found for torch==2.1.2\nTraceback (most recent call last):\n  File "/home/u/sd/launch.py", line 48, in <module>\n    main()\nRuntimeError: Couldn\'t install torch.\nCommand: "/home/u/sd/venv/bin/python3.13" -m pip install torch==2.1.2 torchvision==0.16.2 --extra-index-url https://download.pytorch.org/whl/cu121\nError code: 1\n',
            "torch-version-unavailable",
            [
                "python3.11 -m venv py3.11",
                ". py3.11/bin/activate",
                "python -m pip install --upgrade torch==2.1.2 'torchvision==0.16.*' 'torchaudio==2.1.*'",
            ],
        ),
        (
            "$ pip install https://files.example.org/src/mypkg-1.2.tar.gz\nCollecting https://files.example.org/src/mypkg-1.2.tar.gz\n  Downloading https://files.example.org/src/mypkg-1.2.tar.gz (12 kB)\n  Getting requirements to build wheel ... error\n  error: subprocess-exited-with-error\n      Traceback (most recent call last):\n        File \"/tmp/pip-build-env-2x1m9w0q/overlay/lib/python3.11/site-packages/setuptools/build_meta.py\", line 317, in run_setup\n          exec(code, locals())\n        File \"<string>\", line 3, in <module>\n      ModuleNotFoundError: No module named 'pkg_resources'\nERROR: Failed to build 'https://files.example.org/src/mypkg-1.2.tar.gz' when getting requirements to build wheel\n",
            "pkg-resources",
            [
                "pip install 'setuptools<81'",
                "pip install --no-build-isolation https://files.example.org/src/mypkg-1.2.tar.gz",
            ],
        ),
        (
            "(v) u@pc:~$ pip install git+https://gitlab.com/acme/vision/fast-nms.git@v0.3\nCollecting git+https://gitlab.com/acme/vision/fast-nms.git@v0.3\n  Cloning https://gitlab.com/acme/vision/fast-nms.git (to revision v0.3) to /tmp/pip-req-build-k1\n  Getting requirements to build wheel ... error\n  error: subprocess-exited-with-error\n      Traceback (most recent call last):\n        File \"/tmp/pip-build-env-2x1m9w0q/overlay/lib/python3.11/site-packages/setuptools/build_meta.py\", line 317, in run_setup\n          exec(code, locals())\n        File \"<string>\", line 3, in <module>\n      ModuleNotFoundError: No module named 'torch'\nERROR: Failed to build 'git+https://gitlab.com/acme/vision/fast-nms.git@v0.3' when getting requirements to build wheel\n",
            "build-isolation",
            [
                "python -c 'import torch; print(torch.__version__, torch.version.cuda)'",
                "pip install setuptools wheel packaging ninja",
                "pip install --no-build-isolation git+https://gitlab.com/acme/vision/fast-nms.git@v0.3",
            ],
        ),
        (
            'PS C:\\ai> & "C:\\Program Files\\Python312\\python.exe" -m pip install torch==2.0.1\nERROR: Could not find a version that satisfies the requirement torch==2.0.1 (from versions: 2.2.0, 2.2.1, 2.3.0)\nERROR: No matching distribution found for torch==2.0.1\n',
            "torch-version-unavailable",
            [
                "conda create -n py3.11 python=3.11",
                "conda activate py3.11",
                "& 'C:\\Program Files\\Python312\\python' -m pip install --upgrade torch==2.0.1 'torchvision==0.15.*' 'torchaudio==2.0.*'",
            ],
        ),
    ],
)
def test_a_requirement_that_is_an_address_is_not_cut_into_a_name(log: str, id: str, lines: list[str]) -> None:
    found = findings(log)[0]
    assert found.id == id
    said = [line for line in found.fix if line in lines]
    assert said == lines


@pytest.mark.parametrize(
    ("log", "id", "lines"),
    [
        (
            '(v) u@pc:~/p$ pip install torchvision\nRequirement already satisfied: torchvision in /home/u/v/lib/python3.10/site-packages (0.19.0)\nRequirement already satisfied: torch in /home/u/v/lib/python3.10/site-packages (2.3.0)\n(v) u@pc:~/p$ python run.py\nTraceback (most recent call last):\n  File "/home/u/p/run.py", line 3, in <module>\n    import torchvision\n  File "/home/u/v/lib/python3.10/site-packages/torchvision/__init__.py", line 10, in <module>\n    from torchvision import _meta_registrations, datasets, io, models, ops, transforms, utils\n  File "/home/u/v/lib/python3.10/site-packages/torchvision/_meta_registrations.py", line 163, in <module>\nAttributeError: module \'torch.library\' has no attribute \'register_fake\'\n',
            "python-api-changed",
            ["pip install --force-reinstall --no-deps 'torchvision==0.18.*'", "python run.py"],
        ),
        (
            '(v) u@pc:~/p$ python run.py\nTraceback (most recent call last):\n  File "/home/u/p/run.py", line 3, in <module>\n    import torchvision\n  File "/home/u/v/lib/python3.10/site-packages/torchvision/__init__.py", line 10, in <module>\n    from torchvision import _meta_registrations, datasets, io, models, ops, transforms, utils\n  File "/home/u/v/lib/python3.10/site-packages/torchvision/_meta_registrations.py", line 163, in <module>\nAttributeError: module \'torch.library\' has no attribute \'register_fake\'\n(v) u@pc:~/p$ conda list torch\n# packages in environment at /home/u/v:\n#\n# Name                    Version                   Build  Channel\ntorch                     2.2.2                    pypi_0    pypi\ntorchvision               0.20.1                   pypi_0    pypi\n',
            "python-api-changed",
            ["pip install --force-reinstall --no-deps 'torchvision==0.17.*'", "python run.py"],
        ),
        (
            '(v) u@pc:~/p$ python a.py\nTraceback (most recent call last):\n  File "/home/u/p/a.py", line 1, in <module>\n    import torchaudio\n  File "/home/u/v/lib/python3.10/site-packages/torchaudio/_extension/utils.py", line 61, in _load_lib\n    torch.ops.load_library(path)\nOSError: /home/u/v/lib/python3.10/site-packages/torchaudio/lib/libtorchaudio.so: undefined symbol: _ZNK3c105Error4whatEv\n(v) u@pc:~/p$ pip show torch torchaudio\nName: torch\nVersion: 2.5.1\nSummary: Tensors\n---\nName: torchaudio\nVersion: 2.6.0\n',
            "undefined-symbol",
            [
                "pip install --force-reinstall --no-deps 'torchaudio==2.5.*'",
                "python a.py",
            ],
        ),
        (
            "$ pip install torch==2.4.1 xformers==0.0.29.post1\nERROR: Cannot install torch==2.4.1 and xformers==0.0.29.post1 because these package versions have conflicting dependencies.\n\nThe conflict is caused by:\n    The user requested torch==2.4.1\n    xformers 0.0.29.post1 depends on torch==2.5.1\n\nERROR: ResolutionImpossible: for help visit https://pip.pypa.io/\n",
            "version-conflict",
            ["pip install torch==2.4.1 xformers==0.0.28.post1"],
        ),
        (
            "(v) u@pc:~/p$ pip install -r requirements.txt\nCollecting torch==2.6.0 (from -r requirements.txt (line 4))\nCollecting torchvision==0.20.1 (from -r requirements.txt (line 5))\nERROR: Cannot install -r requirements.txt (line 5) and torch==2.6.0 because these package versions have conflicting dependencies.\n\nThe conflict is caused by:\n    The user requested torch==2.6.0\n    torchvision 0.20.1 depends on torch==2.5.1\n\nTo fix this you could try to:\n1. loosen the range of package versions you've specified\n\nERROR: ResolutionImpossible: for help visit https://pip.pypa.io/\n",
            "version-conflict",
            [
                "sed -i.old -E 's/^torchvision([^[:alnum:]_.-].*)?$/torchvision==0.21.*/' requirements.txt",
                "pip install -r requirements.txt",
            ],
        ),
        (
            "$ uv add xformers==0.0.28.post1\n  × No solution found when resolving dependencies:\n  ╰─▶ Because xformers==0.0.28.post1 depends on torch==2.4.1 and your project depends on torch==2.5.1, we can conclude that your project and xformers==0.0.28.post1 are incompatible.\n      And because your project depends on xformers==0.0.28.post1, we can conclude that your project's requirements are unsatisfiable.\n",
            "version-conflict",
            ["uv add xformers==0.0.29.post1"],
        ),
        (
            "$ poetry install\nResolving dependencies... (2.1s)\n\nBecause torchvision (0.19.0) depends on torch (2.4.0)\n and p depends on torch (2.5.1), torchvision is forbidden.\nSo, because p depends on torchvision (0.19.0), version solving failed.\n",
            "version-conflict",
            ["poetry add 'torchvision==0.20.*'"],
        ),
        (
            'Collecting environment information...\nPyTorch version: 2.6.0+cu124\nIs debug build: False\n[pip3] numpy==1.26.4\n[pip3] torch==2.6.0+cu124\n[pip3] torchvision==0.20.1+cu124\n\nTraceback (most recent call last):\n  File "/w/a.py", line 2, in <module>\n    import torchvision\n  File "/v/lib/python3.11/site-packages/torchvision/_meta_registrations.py", line 163, in <module>\nRuntimeError: operator torchvision::nms does not exist\n',
            "torchvision-mismatch",
            [
                "pip install --force-reinstall --no-deps 'torchvision==0.21.*' --index-url https://download.pytorch.org/whl/cu124"
            ],
        ),
    ],
)
def test_what_goes_along_with_torch_follows_versions_from_anywhere(log: str, id: str, lines: list[str]) -> None:
    found = findings(log)[0]
    assert found.id == id
    said = [line for line in found.fix if line in lines]
    assert said == lines


@pytest.mark.parametrize(
    ("log", "id", "lines"),
    [
        (
            "$ uv add torch --index https://download.pytorch.org/whl/cu128\n  × No solution found when resolving dependencies:\n  ╰─▶ Because there is no version of numpy==2.1.3 and your project depends on numpy==2.1.3, we can conclude that your project's requirements are unsatisfiable.\n\n      hint: `numpy` was found on https://download.pytorch.org/whl/cu128, but not at the requested version (numpy==2.1.3). A compatible version may be available on a subsequent index (e.g., https://index.example/simple). By default, uv will only consider versions that are published on the first index that contains a given package, to avoid dependency confusion attacks. If all indexes are equally trusted, use `--index-strategy unsafe-best-match` to consider all versions from all indexes, regardless of the order in which they were defined.\n",
            "package-not-found",
            [
                "grep -qxF '[tool.uv]' pyproject.toml || printf '\\n[%s]\\n' tool.uv >> pyproject.toml",
                "sed -i.old -e '/^.tool.uv.$/ a\\' -e 'index = [{ name = \"pytorch-cu128\", url = \"https://download.pytorch.org/whl/cu128\", explicit = true }]' pyproject.toml",
                'sed -i.old -e \'/^.tool.uv.$/ a\\\' -e \'sources = { torch = { index = "pytorch-cu128" }, torchvision = { index = "pytorch-cu128" }, torchaudio = { index = "pytorch-cu128" } }\' pyproject.toml',
            ],
        ),
        (
            "(.venv) $ uv pip install -r requirements.txt --extra-index-url https://download.pytorch.org/whl/cu121\n  × No solution found when resolving dependencies:\n  ╰─▶ Because there is no version of requests==2.32.3 and you require requests==2.32.3, we can conclude that your requirements are unsatisfiable.\n\n      hint: `requests` was found on https://download.pytorch.org/whl/cu121, but not at the requested version (requests==2.32.3). A compatible version may be available on a subsequent index (e.g., https://index.example/simple). By default, uv will only consider versions that are published on the first index that contains a given package.\n",
            "package-not-found",
            [
                "uv pip install -r requirements.txt --extra-index-url https://download.pytorch.org/whl/cu121 --index-strategy unsafe-best-match"
            ],
        ),
        (
            "$ uv add \"mcp[cli]\"\n  × No solution found when resolving dependencies for split (python_full_version >= '3.8' and python_full_version < '3.10'):\n  ╰─▶ Because the requested Python version (>=3.8) does not satisfy Python>=3.10 and your project depends on mcp[cli], we can conclude that your project's requirements are unsatisfiable.\n  help: If you want to add the package regardless of the failed resolution, provide the `--frozen` flag to skip locking and syncing.\n",
            "python-version",
            [
                "sed -i.old -E 's/^requires-python *=.*/requires-python = \">=3.10\"/' pyproject.toml",
                'uv add "mcp[cli]"',
            ],
        ),
        (
            "$ uv pip install mediapipe==0.10.14\nUsing Python 3.13.2 environment at: .venv\n  × No solution found when resolving dependencies:\n  ╰─▶ Because mediapipe==0.10.14 has no wheels with a matching Python ABI tag (e.g., `cp313`) and you require mediapipe==0.10.14, we can conclude that your requirements are unsatisfiable.\n\n      hint: You require CPython 3.13 (`cp313`), but we only found wheels for `mediapipe` (v0.10.14) with the following Python ABI tags: `cp39`, `cp310`, `cp311`, `cp312`\n",
            "package-not-found",
            ["uv venv --python 3.12 py3.12", ". py3.12/bin/activate", "uv pip install mediapipe==0.10.14"],
        ),
        (
            "$ uv pip install torch==1.6.0+cu101 --index-url https://download.pytorch.org/whl/torch_stable.html\n  × No solution found when resolving dependencies:\n  ╰─▶ Because there is no version of torch==1.6.0+cu101 and you require torch==1.6.0+cu101, we can conclude that your requirements are unsatisfiable.\n",
            "torch-version-unavailable",
            ["uv pip install torch==1.6.0+cu101 --find-links https://download.pytorch.org/whl/torch_stable.html"],
        ),
        (
            "$ pixi add torch\nError:   × failed to solve the conda requirements of 'default' 'linux-64'\n  ╰─▶ Cannot solve the request because of: No candidates were found for torch *.\n",
            "package-not-found",
            ["pixi add pytorch"],
        ),
        (
            "(base) u@pc:~$ conda install opencv-python\nChannels:\n - defaults\nPlatform: linux-64\nCollecting package metadata (repodata.json): done\nSolving environment: failed\n\nPackagesNotFoundError: The following packages are not available from current channels:\n\n  - opencv-python\n\nCurrent channels:\n\n  - defaults\n",
            "package-not-found",
            ["conda install -c conda-forge opencv"],
        ),
        (
            "$ conda env create -f environment.yaml\nChannels:\n - pytorch\n - defaults\nPlatform: linux-64\nSolving environment: failed\n\nLibMambaUnsatisfiableError: Encountered problems while solving:\n  - nothing provides requested open3d-python ==0.7.0.0\n  - nothing provides requested opencv-python >=4.5\n",
            "package-not-found",
            ["conda env create -f environment.yaml"],
        ),
        (
            "(base) u@mac:~/p$ conda env create -f environment.yml\nCollecting package metadata (repodata.json): done\nSolving environment: failed\n\nResolvePackageNotFound:\n  - cudatoolkit=10.2.89=hfd86e86_1\n  - libgcc-ng=9.3.0=h5101ec6_17\n  - ncurses=6.3=h7f8727e_2\n",
            "package-not-found",
            ["sed -i.old -E 's/^( *- [^=:]+=[^=]+)=.*/\\1/' environment.yml", "conda env create -f environment.yml"],
        ),
        (
            "$ uv pip install flash-attn-4\n  × No solution found when resolving dependencies:\n  ╰─▶ Because only flash-attn-4<=4.0.0b1 is available and you require flash-attn-4, we can conclude that your requirements are unsatisfiable.\n\n      hint: Pre-releases are available for `flash-attn-4` in the requested range (e.g., 4.0.0b1), but pre-releases weren't enabled (try: `--prerelease=allow`)\n",
            "package-not-found",
            ["uv pip install flash-attn-4 --prerelease=allow"],
        ),
        (
            "(base) C:\\w>conda create -n sd --file requirements.txt\nSolving environment: failed\n\nPackagesNotFoundError: The following packages are not available from current channels:\n\n  - opencv-python==4.8.0.76\n  - gradio==3.41.2\n\nCurrent channels:\n\n  - https://repo.anaconda.com/pkgs/main/win-64\n",
            "package-not-found",
            ["pip install -r requirements.txt", "conda create -n sd --file requirements.txt"],
        ),
        (
            "$ poetry lock\nResolving dependencies...\n\nBecause no versions of torch match 2.3.0+cu121\n and demo depends on torch (2.3.0+cu121), version solving failed.\n",
            "torch-version-unavailable",
            [
                "poetry source add --priority explicit pytorch https://download.pytorch.org/whl/cu121",
                "poetry add --source pytorch torch==2.3.0+cu121",
            ],
        ),
    ],
)
def test_a_resolver_gets_the_fix_in_its_own_words(log: str, id: str, lines: list[str]) -> None:
    found = findings(log)[0]
    assert found.id == id
    said = [line for line in found.fix if line in lines]
    assert said == lines
