"""Tests that services, distributions, images and packages without wheels get what exists for them."""

from __future__ import annotations

import pytest
from doctor.reading import findings


@pytest.mark.parametrize(
    ("log", "id", "lines"),
    [
        (
            "Run prefix-dev/setup-pixi@v0.8.1\nDownloading Pixi\npixi install\n  /home/runner/.pixi/bin/pixi install --locked --color always\n  Error:   × Cannot install environment 'default'\n    ╰─▶ Virtual package '__cuda' does not match any of the available virtual packages on your machine: [__archspec=1=zen2, __glibc=2.39=0, __unix=0=0, __linux=6.11.0=0]\n  help: You can mock the virtual package by overriding the environment variable, e.g.: '`CONDA_OVERRIDE_CUDA=12.0`'\nError: The process '/home/runner/.pixi/bin/pixi' failed with exit code 1\n",
            "conda-environment",
            ['CONDA_OVERRIDE_CUDA: "12.0"'],
        ),
        (
            "Read the Docs build information\nmamba env create --quiet --name latest --file docs/environment.yml\nCollecting package metadata\n/home/docs/checkouts/readthedocs.org/user_builds/p/checkouts/latest\nerror    libmamba Could not solve for environment specs\n    └─ pytorch-gpu is not installable because it requires\n       └─ __cuda, which is missing on the system.\n",
            "conda-environment",
            ["CONDA_OVERRIDE_CUDA=12.8"],
        ),
        (
            '#8 [4/6] RUN conda env create -f env.yml\n#8 20.1 LibMambaUnsatisfiableError: Encountered problems while solving:\n#8 20.1   - nothing provides __cuda needed by pytorch-2.1.0-cuda120_py310\n#8 ERROR: process "/bin/sh -c conda env create -f env.yml" did not complete successfully: exit code: 1\nDockerfile:9\n',
            "conda-environment",
            ["ENV CONDA_OVERRIDE_CUDA=12.8"],
        ),
        (
            "Current runner version: '2.321.0'\nPrepare all required actions\nGetting action download info\nError: This request has been automatically failed because it uses a deprecated version of `actions/upload-artifact: v3`. Learn more: https://github.blog/changelog/2024-04-16-deprecation-notice-v3-of-the-artifact-actions/\n",
            "action-version",
            [
                "# In version 4, an artifact cannot be uploaded twice under one name: with a matrix, add the value of the matrix to name:"
            ],
        ),
        (
            "##[group]Run actions/setup-python@v4\nwith:\n  python-version: 3.10.0\n##[endgroup]\n##[error]Version 3.10.0 with arch x64 not found\nThe list of all available versions can be found here: https://raw.githubusercontent.com/actions/python-versions/main/versions-manifest.json\n",
            "action-version",
            ["#     python-version: 3.10"],
        ),
        (
            "2025-05-05T10:00:00.0000000Z ##[group]Run conda-incubator/setup-miniconda@v3\n2025-05-05T10:00:00.0000000Z with:\n2025-05-05T10:00:00.0000000Z   environment-file: environment.yml\n2025-05-05T10:00:00.0000000Z ##[endgroup]\n2025-05-05T10:00:09.0000000Z LibMambaUnsatisfiableError: Encountered problems while solving:\n2025-05-05T10:00:09.0000000Z   - nothing provides __cuda needed by pytorch-2.4.0-cuda118_py311\n2025-05-05T10:00:10.0000000Z ##[error]The process '/usr/share/miniconda/condabin/conda' failed with exit code 1\n",
            "conda-environment",
            ['CONDA_OVERRIDE_CUDA: "12.8"'],
        ),
    ],
)
def test_a_variable_and_an_input_stand_in_the_form_of_the_place(log: str, id: str, lines: list[str]) -> None:
    found = findings(log)[0]
    assert found.id == id
    said = [line for line in found.fix if line in lines]
    assert said == lines


@pytest.mark.parametrize(
    ("log", "id", "lines"),
    [
        (
            "[root@gpu1 ~]# cat /etc/redhat-release\nRocky Linux release 9.4 (Blue Onyx)\n[root@gpu1 ~]# dnf install -y cuda-toolkit-12-4\nLast metadata expiration check: 0:01:02 ago\nNo match for argument: cuda-toolkit-12-4\nError: Unable to find a match: cuda-toolkit-12-4\n",
            "apt-no-package",
            [
                "dnf config-manager --add-repo https://developer.download.nvidia.com/compute/cuda/repos/rhel9/x86_64/cuda-rhel9.repo",
                "dnf install cuda-toolkit-12-4",
            ],
        ),
        (
            "[root@c7 ~]# yum install cuda-toolkit-11-8\nLoaded plugins: fastestmirror\n * base: mirror.centos.org\nNo package cuda-toolkit-11-8 available.\nError: Nothing to do\n[root@c7 ~]# uname -r\n3.10.0-1160.el7.x86_64\n",
            "apt-no-package",
            [
                "yum-config-manager --add-repo https://developer.download.nvidia.com/compute/cuda/repos/rhel7/x86_64/cuda-rhel7.repo",
                "yum install cuda-toolkit-11-8",
            ],
        ),
        (
            "u@leap:~> sudo zypper install cuda-toolkit-12-4\nLoading repository data...\nReading installed packages...\n'cuda-toolkit-12-4' not found in package names. Trying capabilities.\nNo provider of 'cuda-toolkit-12-4' found.\nu@leap:~> cat /etc/os-release\nNAME=\"openSUSE Leap\"\nVERSION=\"15.6\"\n",
            "apt-no-package",
            [
                "sudo zypper addrepo https://developer.download.nvidia.com/compute/cuda/repos/opensuse15/x86_64/cuda-opensuse15.repo",
                "sudo zypper --gpg-auto-import-keys refresh",
                "sudo zypper install cuda-toolkit-12-4",
            ],
        ),
        (
            "[u@arch ~]$ sudo pacman -S cuda-toolkit-12-4\nerror: target not found: cuda-toolkit-12-4\n",
            "apt-no-package",
            ["sudo pacman -S cuda"],
        ),
        (
            "$ sudo dnf config-manager --add-repo https://developer.download.nvidia.com/compute/cuda/repos/fedora40/x86_64/cuda-fedora40.repo\nAdding repo from: https://developer.download.nvidia.com/compute/cuda/repos/fedora40/x86_64/cuda-fedora40.repo\nStatus code: 404 for https://developer.download.nvidia.com/compute/cuda/repos/fedora40/x86_64/cuda-fedora40.repo (IP: 152.199.20.126)\nError: Configuration of repo failed\n",
            "apt-no-package",
            [
                "sudo dnf config-manager --add-repo https://developer.download.nvidia.com/compute/cuda/repos/fedora39/x86_64/cuda-fedora39.repo"
            ],
        ),
        (
            "$ sudo apt-get install (-y )?cuda-toolkit-12-4\nReading package lists... Done\nE: Unable to locate package cuda-toolkit-12-4\n$ lsb_release -ds\nUbuntu 22.04.4 LTS\n",
            "apt-no-package",
            [
                "wget https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2204/x86_64/cuda-keyring_1.1-1_all.deb",
                "sudo dpkg -i cuda-keyring_1.1-1_all.deb",
                "sudo apt-get update",
            ],
        ),
        (
            "[u@fedora ~]$ sudo dnf install cuda-toolkit-11-8\nError: \n Problem: conflicting requests\n  - nothing provides gcc-toolset-11 needed by cuda-toolkit-11-8-11.8.0-1.x86_64 from cuda-rhel8\n(try to add '--skip-broken' to skip uninstallable packages)\n",
            "apt-dependencies",
            ["sudo dnf config-manager --set-disabled cuda-rhel8", "cat /etc/os-release"],
        ),
        (
            "$ sudo apt install cuda-toolkit-12-1\nE: Unable to locate package cuda-toolkit-12-1\n$ lsb_release -d\nDescription: Ubuntu 24.04.1 LTS\n",
            "apt-no-package",
            ["dcnbuild toolkit install 12.1"],
        ),
        (
            'sles15:~ # zypper in cuda-toolkit-12-2\nPackage \'cuda-toolkit-12-2\' not found.\nsles15:~ # cat /etc/os-release\nNAME="SLES"\nPRETTY_NAME="SUSE Linux Enterprise Server 15 SP5"\n',
            "apt-no-package",
            [
                "sudo zypper addrepo https://developer.download.nvidia.com/compute/cuda/repos/sles15/x86_64/cuda-sles15.repo",
                "sudo zypper --gpg-auto-import-keys refresh",
                "sudo zypper install cuda-toolkit-12-2",
            ],
        ),
    ],
)
def test_each_distribution_gets_its_manager_and_repository(log: str, id: str, lines: list[str]) -> None:
    found = findings(log)[0]
    assert found.id == id
    said = [line for line in found.fix if line in lines]
    assert said == lines


@pytest.mark.parametrize(
    ("log", "id", "lines"),
    [
        (
            "$ docker build -t x .\n[+] Building 1.9s (3/3) FINISHED\n => ERROR [internal] load metadata for docker.io/nvidia/cuda:11.3.0-devel-ubuntu20.04        1.8s\n------\n > [internal] load metadata for docker.io/nvidia/cuda:11.3.0-devel-ubuntu20.04:\n------\nDockerfile:2\n--------------------\n   1 |     # x\n   2 | >>> FROM nvidia/cuda:11.3.0-devel-ubuntu20.04\n--------------------\nERROR: failed to solve: nvidia/cuda:11.3.0-devel-ubuntu20.04: failed to resolve source metadata for docker.io/nvidia/cuda:11.3.0-devel-ubuntu20.04: docker.io/nvidia/cuda:11.3.0-devel-ubuntu20.04: not found\n",
            "docker-image",
            ["FROM nvidia/cuda:11.3.1-devel-ubuntu20.04"],
        ),
        (
            "$ docker pull nvidia/cuda\nUsing default tag: latest\nError response from daemon: manifest for nvidia/cuda:latest not found: manifest unknown: manifest unknown\n",
            "docker-image",
            ["docker pull nvidia/cuda:12.4.1-base-ubuntu22.04"],
        ),
        (
            "STEP 1/26: FROM docker.io/nvidia/cuda:11.4.2-cudnn8-devel-ubuntu20.04\nTrying to pull docker.io/nvidia/cuda:11.4.2-cudnn8-devel-ubuntu20.04...\nError: error creating build container: initializing source docker://nvidia/cuda:11.4.2-cudnn8-devel-ubuntu20.04: reading manifest 11.4.2-cudnn8-devel-ubuntu20.04 in docker.io/nvidia/cuda: manifest unknown: manifest unknown\n",
            "docker-image",
            ["FROM nvidia/cuda:11.4.3-cudnn8-devel-ubuntu20.04"],
        ),
        (
            "u@pc:~$ docker run --rm --gpus all nvidia/cuda:11.0-base nvidia-smi\nUnable to find image 'nvidia/cuda:11.0-base' locally\ndocker: Error response from daemon: manifest for nvidia/cuda:11.0-base not found: manifest unknown: manifest unknown.\nSee 'docker run --help'.\n",
            "docker-image",
            ["docker run --rm --gpus all nvidia/cuda:11.0.3-base-ubuntu20.04 nvidia-smi"],
        ),
        (
            "error building image: GET https://index.docker.io/v2/nvidia/cuda/manifests/11.4.0-devel-ubuntu20.04: MANIFEST_UNKNOWN: manifest unknown; unknown tag=11.4.0-devel-ubuntu20.04\n",
            "docker-image",
            ["# nvidia/cuda:11.4.3-devel-ubuntu20.04"],
        ),
    ],
)
def test_an_image_gets_a_tag_that_exists(log: str, id: str, lines: list[str]) -> None:
    found = findings(log)[0]
    assert found.id == id
    said = [line for line in found.fix if line in lines]
    assert said == lines


@pytest.mark.parametrize(
    ("log", "id", "lines"),
    [
        (
            '$ python inference.py\nTraceback (most recent call last):\n  File "/home/u/p/inference.py", line 5, in <module>\n    from basicsr.archs.rrdbnet_arch import RRDBNet\n  File "/home/u/v/lib/python3.10/site-packages/basicsr/data/degradations.py", line 8, in <module>\n    from torchvision.transforms.functional_tensor import rgb_to_grayscale\nModuleNotFoundError: No module named \'torchvision.transforms.functional_tensor\'\n',
            "torchvision-api-changed",
            [
                "sed -i s/torchvision.transforms.functional_tensor/torchvision.transforms.functional/g /home/u/v/lib/python3.10/site-packages/basicsr/data/degradations.py",
                "python inference.py",
            ],
        ),
        (
            '$ python train.py\nTraceback (most recent call last):\n  File "/home/u/p/train.py", line 7, in <module>\n    import timm\n  File "/home/u/v/lib/python3.9/site-packages/timm/models/layers/helpers.py", line 6, in <module>\n    from torch._six import container_abcs\nModuleNotFoundError: No module named \'torch._six\'\n',
            "torch-six",
            ["pip install --upgrade timm", "python train.py"],
        ),
        (
            "C:\\Users\\s>python --version\nPython 3.13.1\n\nC:\\Users\\s>pip install -r requirements.txt\nCollecting sentencepiece==0.2.0 (from -r requirements.txt (line 2))\n  Downloading sentencepiece-0.2.0.tar.gz (2.6 MB)\n  Installing build dependencies ... done\n  Getting requirements to build wheel ... error\n  error: subprocess-exited-with-error\n\n  × Getting requirements to build wheel did not run successfully.\n  │ exit code: 1\n  ╰─> [9 lines of output]\n      CMake Error at CMakeLists.txt:15 (cmake_minimum_required):\n        Compatibility with CMake < 3.5 has been removed from CMake.\n\n      [end of output]\n\n  note: This error originates from a subprocess, and is likely not a problem with pip.\n",
            "cmake-too-new",
            [
                "python -c \"import pathlib, re, sys; f = pathlib.Path(sys.argv[1]); f.write_text(''.join(sys.argv[3] + chr(10) if re.split('[^A-Za-z0-9_.-]', line)[0] == sys.argv[2] else line for line in f.open()))\" requirements.txt sentencepiece \"sentencepiece>=0.2.1\"",
                "pip install -r requirements.txt",
            ],
        ),
        (
            "C:\\Users\\s>python --version\nPython 3.12.4\n\nC:\\Users\\s>pip install transformers==4.30.0\nCollecting tokenizers==0.13.3\n  Downloading tokenizers-0.13.3.tar.gz (2.6 MB)\n  Installing build dependencies ... done\n  Getting requirements to build wheel ... error\n  error: subprocess-exited-with-error\n\n  × Getting requirements to build wheel did not run successfully.\n  │ exit code: 1\n  ╰─> [9 lines of output]\n      error: can't find Rust compiler\n\n      If you are using an outdated pip version, it is possible a prebuilt wheel is available for this package but pip is not able to install from it.\n      This package requires Rust >=1.41.0.\n      [end of output]\n\n  note: This error originates from a subprocess, and is likely not a problem with pip.\n",
            "rust-missing",
            ["pip install --upgrade transformers"],
        ),
        (
            "(v) $ python --version\nPython 3.13.0\n(v) $ pip install mediapipe==0.10.9\nERROR: Could not find a version that satisfies the requirement mediapipe==0.10.9 (from versions: 0.10.20, 0.10.21)\nERROR: No matching distribution found for mediapipe==0.10.9\n",
            "package-not-found",
            ["pip install mediapipe==0.10.21"],
        ),
        (
            "$ uv pip install pandas==2.0.3\nUsing Python 3.12.4 environment at: .venv\n  × Failed to build `pandas==2.0.3`\n  ├─▶ The build backend returned an error\n  ╰─▶ Call to `mesonpy.build_wheel` failed (exit status: 1)\n\n      [stderr]\n      ERROR: Unknown compiler(s): [['cc'], ['gcc'], ['clang']]\n",
            "compiler-missing",
            ["uv pip install 'pandas>=2.1.1'"],
        ),
        (
            '#9 [5/7] RUN pip install -r requirements.txt\n#9 3.1 Collecting lxml==4.9.1 (from -r requirements.txt (line 7))\n#9 3.2   Downloading lxml-4.9.1.tar.gz (3.4 MB)\n#9 5.0 Building wheel for lxml (setup.py): started\n#9 9.0       Error: Please make sure the libxml2 and libxslt development packages are installed.\n#9 9.1   ERROR: Failed building wheel for lxml\n#9 9.2 /usr/local/lib/python3.12\n#9 ERROR: process "/bin/sh -c pip install -r requirements.txt" did not complete successfully: exit code: 1\nDockerfile:12\n',
            "dependency-missing",
            ["RUN sed -i.old -E 's/^lxml([^[:alnum:]_.-].*)?$/lxml>=4.9.4/' requirements.txt"],
        ),
        (
            "(v) $ python --version\nPython 3.13.1\n(v) $ pip install open3d==0.18.0\nERROR: Could not find a version that satisfies the requirement open3d==0.18.0 (from versions: none)\nERROR: No matching distribution found for open3d==0.18.0\n",
            "package-not-found",
            ["conda create -n py3.11 python=3.11", "conda activate py3.11", "pip install open3d==0.18.0"],
        ),
    ],
)
def test_a_release_without_a_wheel_or_a_successor_is_replaced_or_patched(log: str, id: str, lines: list[str]) -> None:
    found = findings(log)[0]
    assert found.id == id
    said = [line for line in found.fix if line in lines]
    assert said == lines
