"""Makes a toolkit from Debian's packages, without root: apt downloads them, and the files get NVIDIA's layout.

Debian spreads CUDA over /usr, and its nvcc reads absolute paths from /etc/nvcc.profile. Here every file gets the place
that NVIDIA's own installer gives it, under one directory, with a profile that is relative to nvcc.
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from dcnbuild.machine import files
from dcnbuild.machine.recipes import DebianRecipe
from dcnbuild.toolkit import apt_sources, archive
from dcnbuild.toolkit.programs import failed, program, run

#: The place of a package's file; files that match none of these are left out (profilers, GUIs, gigabytes of libraries).
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
#: 'http://…/x_1_amd64.deb' x_1_amd64.deb 1234 SHA256:0123…
_URI_LINE = re.compile(r"^'[^']*' ([^\s/]+) \d+ (SHA256|SHA512):([0-9a-f]+)$", re.MULTILINE)
#: A gcc finds its own parts relative to itself.
_HOST_LAYOUT = ((re.compile(r"(usr/(?:bin|lib/gcc|include)/.+)"), r"host/\1"),)

#: Like NVIDIA's, relative to nvcc: TOP is the toolkit.
_PROFILE = """\
TOP              = $(_HERE_)/..

NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice

LD_LIBRARY_PATH += $(TOP)/lib64:
PATH            += $(TOP)/nvvm/bin:$(_HERE_):

INCLUDES        += "-I$(TOP)/include" $(_SPACE_)

LIBRARIES       =+ $(_SPACE_) "-L$(TOP)/lib64/stubs" "-L$(TOP)/lib64"
"""


def fetch(version: str, recipe: DebianRecipe, downloads: Path, staging: Path, env: Mapping[str, str]) -> str:
    """Downloads files missing in `downloads`, unpacks the toolkit to `staging`, and returns a text that names its
    packages.

    Raises FindingError where apt, dpkg or a Debian archive is missing, or if a download fails.
    """
    what = f"downloading CUDA {version}"
    mirror = apt_sources.debian_archive()
    for tool in ("apt-get", "dpkg-deb"):
        if next(files.on_path(env, tool), None) is None:
            raise failed(what, f"this toolkit comes from Debian's packages, and there is no {tool}")
    if mirror is None:
        raise failed(
            what,
            "this toolkit comes from Debian's packages, and apt's sources name no Debian archive",
            ("looked in /etc/apt/sources.list and /etc/apt/sources.list.d",),
        )
    options = _private_lists(mirror, recipe.suite, downloads)
    run(["apt-get", *options, "update"], downloads, env, f"asking for Debian's {recipe.suite}")
    listed = _listed([*recipe.packages, *recipe.host_packages], options, downloads, env, what)
    for package, (name, algorithm, digest) in listed.items():
        if not archive.matches(downloads / name, algorithm, digest):
            (downloads / name).unlink(missing_ok=True)
            run(["apt-get", *options, "download", package], downloads, env, f"{what}: {package}")
            archive.check_hash(downloads / name, algorithm, digest, what)
    for layout, packages in ((_LAYOUT, recipe.packages), (_HOST_LAYOUT, recipe.host_packages)):
        for package in packages:
            name = listed[package][0]
            archive.refuse(_unpack(downloads / name, layout, staging, what), name, what)
    (staging / "bin/nvcc.profile").write_text(_PROFILE, encoding="utf-8")
    if recipe.host is not None:
        _finish_host(staging, recipe.host)
    names = [Path(name).stem for name, _, _ in listed.values()]
    return f"Debian {recipe.suite}: {' '.join(names)}"


def _private_lists(mirror: apt_sources.AptSource, suite: str, downloads: Path) -> list[str]:
    """Returns apt options that do not touch the system's lists, so that no root is needed."""
    for name in ("sources", "lists/partial", "archives/partial"):
        (downloads / "apt" / name).mkdir(parents=True, exist_ok=True)
    apt = downloads / "apt"
    (apt / "sources/debian.list").write_text(apt_sources.line_for(mirror, suite))
    settings = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": apt / "sources",
        "Dir::State::Lists": apt / "lists",
        "Dir::Cache::archives": apt / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        # even if the machine's own settings allow it
        "APT::Get::AllowUnauthenticated": "false",
        "Acquire::AllowInsecureRepositories": "false",
        "Acquire::AllowWeakRepositories": "false",
    }
    return ["-q", *(f"-o{name}={value}" for name, value in settings.items())]


def _listed(
    packages: Sequence[str], options: list[str], downloads: Path, env: Mapping[str, str], what: str
) -> dict[str, tuple[str, str, str]]:
    """Returns, for each package, the file that apt would download, the hash algorithm and the hash.

    They come from the archive's Packages file. Its hash is in a Release file, whose signature apt has checked.
    """
    # outside `downloads`, since apt does not list a file that already exists
    elsewhere = downloads / "apt"
    asked = run(["apt-get", *options, "--print-uris", "download", *packages], elsewhere, env, what)
    found = {
        name.partition("_")[0]: (name, algorithm.lower(), digest)
        for name, algorithm, digest in _URI_LINE.findall(asked)
    }
    missing = [package for package in packages if package not in found]
    if missing:
        raise failed(what, f"apt-get lists no file with its hash for {', '.join(missing)}")
    return {package: found[package] for package in packages}


def _unpack(package: Path, layout: Sequence[tuple[re.Pattern[str], str]], target: Path, what: str) -> list[str]:
    """Unpacks the files of a .deb that the layout names, to the places that it gives.

    Returns the members that were left out because they lead outside the target.
    """
    refused = []
    with subprocess.Popen(
        [program("dpkg-deb", os.environ), "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        damage = ""
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as members:
                for member in members:
                    place = _place(member.name.removeprefix("./"), layout)
                    if place is None:
                        continue
                    try:
                        _write(members, member, place, layout, target)
                    except archive.UnsafeMemberError as error:
                        refused.append(str(error))
        except tarfile.TarError as error:
            damage = str(error)
    if process.returncode != 0 or damage:
        raise failed(what, f"dpkg-deb could not read {package}", (damage,) if damage else ())
    return refused


def _write(
    members: tarfile.TarFile,
    member: tarfile.TarInfo,
    place: str,
    layout: Sequence[tuple[re.Pattern[str], str]],
    target: Path,
) -> None:
    """Writes one member. Directories come with their files; a toolkit has no devices and pipes."""
    if member.issym():
        leads_to = _follow(member, place, layout)
        if leads_to is not None:
            archive.write_link(target, place, leads_to)
    elif member.islnk():
        original = _place(member.linkname.removeprefix("./"), layout)
        if original is None:
            raise archive.UnsafeMemberError(f"{place} is a hard link to {member.linkname}")
        archive.write_copy(target, place, original)
    elif member.isreg():
        source = members.extractfile(member)
        assert source is not None
        archive.write_file(target, place, source, bool(member.mode & 0o111))


def _follow(member: tarfile.TarInfo, place: str, layout: Sequence[tuple[re.Pattern[str], str]]) -> str | None:
    """Returns a link's target in the toolkit's layout; None if the target is not part of the toolkit."""
    directory = os.path.dirname(member.name.removeprefix("./"))
    meant = os.path.normpath(os.path.join("/", directory, member.linkname)).lstrip("/")
    laid_out = _place(meant, layout)
    if laid_out is not None:
        return os.path.relpath(laid_out, os.path.dirname(place) or ".")
    return None if member.linkname.startswith("/") else member.linkname


def _place(name: str, layout: Sequence[tuple[re.Pattern[str], str]]) -> str | None:
    for pattern, target in layout:
        match = pattern.match(name)
        if match and ".." not in name.split("/"):
            return match.expand(target)
    return None


def _finish_host(toolkit: Path, major: int) -> None:
    """Makes nvcc call the gcc beside it, and gives that gcc the system's shared libraries."""
    for name in ("gcc", "g++"):
        # by its own name: gcc searches its parts relative to the path it was called by
        script = f'#!/bin/sh\nexec "$(dirname "$(readlink -f "$0")")/../host/usr/bin/{name}-{major}" "$@"\n'
        path = toolkit / "bin" / name
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)
    for link in (toolkit / "host/usr/lib/gcc").glob(f"*/{major}/*.so"):
        if link.is_symlink() and not link.exists():
            # ../../../x86_64-linux-gnu/libstdc++.so.6 is relative to /usr/lib/gcc, which is not here
            parts = link.readlink().parts[3:]
            link.unlink()
            found = Path("/usr/lib", *parts)
            if ".." not in parts and found.exists():
                link.symlink_to(found)
