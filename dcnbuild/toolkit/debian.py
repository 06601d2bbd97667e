"""A toolkit out of Debian's packages, without root: they are downloaded by apt and laid out as NVIDIA does.

Debian spreads CUDA over /usr; its nvcc reads absolute paths from /etc/nvcc.profile. Here every file goes where
NVIDIA's own installer puts it, under one directory, with a profile that is relative to nvcc.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from dcnbuild.environment import files
from dcnbuild.toolkit import apt_sources
from dcnbuild.toolkit.commands import failed, run
from dcnbuild.toolkit.recipes import DebianRecipe

#: Where a package's file goes; what matches none of these is left out (profilers, GUIs, gigabytes of libraries).
_LAYOUT = tuple(
    (re.compile(pattern), target)
    for pattern, target in (
        (r"usr/lib/nvidia-cuda-toolkit/bin/nvcc$", "bin/nvcc"),
        (r"usr/lib/nvidia-cuda-toolkit/bin/cicc$", "nvvm/bin/cicc"),
        (r"usr/lib/nvidia-cuda-toolkit/bin/crt/(.+)", r"bin/crt/\1"),
        (r"usr/lib/nvidia-cuda-toolkit/libdevice/(.+)", r"nvvm/libdevice/\1"),
        (
            r"usr/bin/(ptxas|fatbinary|cudafe\+\+|nvlink|bin2c|cuobjdump|nvprune|__nvcc_device_query)$",
            r"bin/\1",
        ),
        (r"usr/include/(.+)", r"include/\1"),
        (r"usr/lib/[^/]+/(libnvvm\.so[^/]*)$", r"nvvm/lib64/\1"),
        (
            r"usr/lib/[^/]+/(libcudart\.so[^/]*|libcudart_static\.a|libcudadevrt\.a|libculibos\.a)$",
            r"lib64/\1",
        ),
        (r"usr/lib/[^/]+/(stubs/libcuda\.so)$", r"lib64/\1"),
    )
)
#: A gcc finds its own parts relative to itself.
_HOST_LAYOUT = ((re.compile(r"(usr/(?:bin|lib/gcc|include)/.+)"), r"host/\1"),)

#: As NVIDIA's, relative to nvcc: TOP is the toolkit.
_PROFILE = """\
TOP              = $(_HERE_)/..

NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice

LD_LIBRARY_PATH += $(TOP)/lib64:
PATH            += $(TOP)/nvvm/bin:$(_HERE_):

INCLUDES        += "-I$(TOP)/include" $(_SPACE_)

LIBRARIES       =+ $(_SPACE_) "-L$(TOP)/lib64/stubs" "-L$(TOP)/lib64"
"""


def fetch(
    version: str, recipe: DebianRecipe, downloads: Path, staging: Path, env: Mapping[str, str]
) -> str:
    """Downloads what is not in `downloads` yet, lays the toolkit out in `staging`, and says what it was made of.

    Raises FindingError where apt, dpkg or a Debian archive is missing, or if a download fails.
    """
    what = f"downloading CUDA {version}"
    archive = apt_sources.debian_archive()
    for tool in ("apt-get", "dpkg-deb"):
        if next(files.on_path(env, tool), None) is None:
            raise failed(what, f"this toolkit comes from Debian's packages, and there is no {tool}")
    if archive is None:
        raise failed(
            what,
            "this toolkit comes from Debian's packages, and apt's sources name no Debian archive",
            ("looked in /etc/apt/sources.list and /etc/apt/sources.list.d",),
        )
    options = _private_lists(archive, recipe.suite, downloads)
    run(["apt-get", *options, "update"], downloads, env, f"asking for Debian's {recipe.suite}")
    wanted = [*recipe.packages, *recipe.host_packages]
    for package in wanted:  # one by one: what is there is kept, and apt checks its hash
        run(["apt-get", *options, "download", package], downloads, env, f"{what}: {package}")
    for package in recipe.packages:
        _unpack(_newest(downloads, package), _LAYOUT, staging, what)
    for package in recipe.host_packages:
        _unpack(_newest(downloads, package), _HOST_LAYOUT, staging, what)
    (staging / "bin/nvcc.profile").write_text(_PROFILE, encoding="utf-8")
    if recipe.host is not None:
        _finish_host(staging, recipe.host)
    names = [_newest(downloads, package).stem for package in wanted]
    return f"Debian {recipe.suite}: {' '.join(names)}"


def _private_lists(archive: apt_sources.AptSource, suite: str, downloads: Path) -> list[str]:
    """apt options that leave the system's lists alone, so that no root is needed."""
    for name in ("sources", "lists/partial", "archives/partial"):
        (downloads / "apt" / name).mkdir(parents=True, exist_ok=True)
    apt = downloads / "apt"
    (apt / "sources/debian.list").write_text(apt_sources.line_for(archive, suite))
    settings = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": apt / "sources",
        "Dir::State::Lists": apt / "lists",
        "Dir::Cache::archives": apt / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
    }
    return ["-q", *(f"-o{name}={value}" for name, value in settings.items())]


def _newest(downloads: Path, package: str) -> Path:
    found = files.children(downloads, f"{package}_*.deb")
    if not found:
        raise failed("downloading", f"apt-get said it downloaded {package}, and there is no file")
    return max(found, key=lambda path: path.stat().st_mtime)


def _unpack(
    package: Path, layout: Sequence[tuple[re.Pattern[str], str]], target: Path, what: str
) -> None:
    """Unpacks those files of a .deb that the layout names, to where it says."""
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for member in archive:
                place = _place(member.name.removeprefix("./"), layout)
                if place is None:
                    continue
                path = target / place
                path.parent.mkdir(parents=True, exist_ok=True)
                if member.issym():
                    path.unlink(missing_ok=True)
                    path.symlink_to(member.linkname)
                elif member.isreg():
                    source = archive.extractfile(member)
                    assert source is not None
                    with path.open("wb") as file:
                        shutil.copyfileobj(source, file)
                    path.chmod(0o755 if member.mode & 0o111 else 0o644)
    if process.returncode != 0:
        raise failed(what, f"dpkg-deb could not read {package}")


def _place(name: str, layout: Sequence[tuple[re.Pattern[str], str]]) -> str | None:
    for pattern, target in layout:
        match = pattern.match(name)
        if match and ".." not in name.split("/"):
            return match.expand(target)
    return None


def _finish_host(toolkit: Path, major: int) -> None:
    """Makes nvcc call the gcc that was laid beside it, and gives that one the system's shared libraries."""
    for name in ("gcc", "g++"):
        # by its own name: gcc looks for its parts from where it was called
        script = f'#!/bin/sh\nexec "$(dirname "$(readlink -f "$0")")/../host/usr/bin/{name}-{major}" "$@"\n'
        path = toolkit / "bin" / name
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)
    for link in (toolkit / "host/usr/lib/gcc").glob(f"*/{major}/*.so"):
        if link.is_symlink() and not link.exists():
            # ../../../x86_64-linux-gnu/libstdc++.so.6: relative to /usr/lib/gcc, where this is not
            found = Path("/usr/lib", *Path(link.readlink()).parts[3:])
            link.unlink()
            if found.exists():
                link.symlink_to(found)
